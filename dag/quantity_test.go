package dag

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

func TestParseQuantity(t *testing.T) {
	for _, tt := range []struct {
		text        string
		cpu, memory int64
	}{
		{"250m", 250, 1},
		{"2", 2000, 2},
		{"0.5", 500, 1},
		{".5", 500, 1},
		{"1e3", 1_000_000, 1000},
		{" 1 ", 1000, 1},
		{"0", 0, 0},
		{"0.1", 100, 1},
		{"100u", 1, 1}, // rounded up, as by Kubernetes
		{"1n", 1, 1},
		{"1k", 1_000_000, 1000},
		{"4Gi", 4 << 30 * 1000, 4 << 30},
		{"1.5Gi", 3 << 29 * 1000, 3 << 29},
		{"512Mi", 512 << 20 * 1000, 512 << 20},
		{"512M", 512_000_000_000, 512_000_000},
		{"1Ki", 1_024_000, 1024},
		{"128974848", 128974848000, 128974848},
	} {
		cpu, err := parseCPU(tt.text)
		if err != nil || cpu != tt.cpu {
			t.Errorf("parseCPU(%q) = %d, %v; want %d", tt.text, cpu, err, tt.cpu)
		}
		memory, err := parseMemory(tt.text)
		if err != nil || memory != tt.memory {
			t.Errorf("parseMemory(%q) = %d, %v; want %d", tt.text, memory, err, tt.memory)
		}
	}
	for _, text := range []string{"", " ", "m", "Gi", "a lot", "-1", "-250m", "1 Gi", "1gi", "1Gib", "4GB", "1e", "0x1p4", "inf", "nan", "1e400", "1_000"} {
		_, err := parseCPU(text)
		if want := fmt.Sprintf("%q is not a quantity like 250m, 2 or 4Gi", strings.TrimSpace(text)); errorText(err) != want {
			t.Errorf("parseCPU(%q): %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"1e30", "16Ei", "9000E"} { // more than fits
		if x, err := parseMemory(text); err == nil {
			t.Errorf("parseMemory(%q) = %d, want an error", text, x)
		}
		if x, err := parseCPU(text); err == nil {
			t.Errorf("parseCPU(%q) = %d, want an error", text, x)
		}
	}
}

// TestParseCPUExact asserts that no number of millicores is rounded up.
func TestParseCPUExact(t *testing.T) {
	for m := range int64(300_000) {
		for _, text := range []string{fmt.Sprintf("%dm", m), fmt.Sprintf("%d.%03d", m/1000, m%1000)} {
			if got, err := parseCPU(text); err != nil || got != m {
				t.Fatalf("parseCPU(%q) = %d, %v", text, got, err)
			}
		}
	}
}

func TestFormatQuantity(t *testing.T) {
	for want, milli := range map[string]int64{"0": 0, "250m": 250, "2": 2000, "1500m": 1500} {
		if got := FormatCPU(milli); got != want {
			t.Errorf("FormatCPU(%d) = %s, want %s", milli, got, want)
		}
	}
	for want, n := range map[string]int64{"0": 0, "1023": 1023, "1Ki": 1024, "512Mi": 512 << 20, "1.5Gi": 3 << 29, "2048Ti": 2 << 50} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestResources(t *testing.T) {
	text := func(s string) Text { return Literal(s) }
	for _, tt := range []struct {
		name string
		spec Resources
		want runner.Resources
		err  string
	}{
		{"none", Resources{}, runner.Resources{}, ""},
		{"limits become requests", Resources{CPULimit: text("2"), MemoryLimit: text("1Gi")}, runner.Resources{CPU: 2000, CPULimit: 2000, Memory: 1 << 30, MemoryLimit: 1 << 30}, ""},
		{"requests stay", Resources{CPURequest: text("250m"), CPULimit: text("2"), MemoryRequest: text("1Mi"), MemoryLimit: text("1Gi")}, runner.Resources{CPU: 250, CPULimit: 2000, Memory: 1 << 20, MemoryLimit: 1 << 30}, ""},
		{"requests set no limits", Resources{CPURequest: text("1"), MemoryRequest: text("1Mi")}, runner.Resources{CPU: 1000, Memory: 1 << 20}, ""},
		{"placeholder", Resources{CPULimit: Text{{Ref: &Ref{Kind: RefInputValue, Name: "cpus"}}}}, runner.Resources{CPU: 3000, CPULimit: 3000}, ""},
		{"GPU", Resources{AcceleratorCount: text("2"), AcceleratorType: text("nvidia.com/gpu")}, runner.Resources{GPU: 2}, ""},
		{"no GPU", Resources{AcceleratorCount: text("0")}, runner.Resources{}, ""},
		{"half a GPU", Resources{AcceleratorCount: text("0.5")}, runner.Resources{}, `accelerator count: "0.5" is not a whole number`},
		{"GPU nonsense", Resources{AcceleratorCount: text("all")}, runner.Resources{}, `accelerator count: "all" is not a quantity like 250m, 2 or 4Gi`},
		{"nonsense", Resources{CPULimit: text("fast")}, runner.Resources{}, `CPU limit: "fast" is not a quantity like 250m, 2 or 4Gi`},
		{"negative", Resources{MemoryRequest: text("-1Gi")}, runner.Resources{}, `memory request: "-1Gi" is not a quantity like 250m, 2 or 4Gi`},
		{"no value", Resources{CPURequest: Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}}}, runner.Resources{}, `CPU request: input parameter "x" has no value`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &node{comp: &Component{}, exec: &Execution{Inputs: Values{Parameters: map[string]any{"cpus": 3.0}}}}
			got, err := render{node: n}.resources(tt.spec)
			if errorText(err) != tt.err {
				t.Fatalf("error %v, want %s", err, tt.err)
			}
			if err == nil && fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
