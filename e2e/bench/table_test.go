package bench

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	what, figure, limit, floor string
	verdict                    string // "" where there is no limit
}

var table struct {
	sync.Mutex
	rows []row
}

func TestMain(m *testing.M) {
	code := m.Run()
	if len(table.rows) > 0 {
		printTable(os.Stdout, table.rows)
	}
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

func printTable(w io.Writer, rows []row) {
	fmt.Fprintf(w, "\n%s/%s, %d CPUs, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tFIGURE\tLIMIT\tFLOOR\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.what, r.figure, cmp.Or(r.limit, "-"), cmp.Or(r.floor, "-"), r.verdict)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// load says how busy the machine is: what else ran, and how much the figures
// that are no ratios may be trusted.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	return "load " + strings.Join(strings.Fields(string(text))[:3], " ")
}

// floor adds a line without a limit.
func floor(what, figure string) {
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, row{what: what, figure: figure})
}

// check adds a line with a limit. Only WHERRY_BENCH_STRICT=1 makes of one that
// does not hold a failure.
func check(b *testing.B, holds bool, r row) {
	b.Helper()
	r.verdict = "holds"
	if !holds {
		r.verdict = "DOES NOT HOLD"
	}
	add(b, holds, r)
}

// within adds a line for milliseconds. What the machine's other work pushed over
// the limit, so that only the best of the samples is under it, is told apart.
func within(b *testing.B, took sample, limit float64, r row) {
	b.Helper()
	r.figure = took.String() + r.figure
	r.limit = fmt.Sprintf("%.0f ms", limit)
	switch {
	case took.median < limit:
		r.verdict = "holds"
	case took.best < limit:
		r.verdict = "HOLDS ONLY AT BEST"
	default:
		r.verdict = "DOES NOT HOLD"
	}
	add(b, took.median < limit, r)
}

func add(b *testing.B, holds bool, r row) {
	b.Helper()
	table.Lock()
	table.rows = append(table.rows, r)
	table.Unlock()
	if !holds && strict() {
		b.Errorf("%s: %s, limit %s, floor %s", r.what, r.figure, r.limit, r.floor)
	}
}

func strict() bool { return os.Getenv("WHERRY_BENCH_STRICT") == "1" }

// skip passes over what this machine can't measure.
func skip(b *testing.B, format string, args ...any) {
	b.Helper()
	if strict() {
		b.Fatalf(format, args...)
	}
	floor(b.Name(), "not measured: "+fmt.Sprintf(format, args...))
	b.Skipf(format, args...)
}

// pairs is how often each side of a ratio is measured.
func pairs() int {
	n, err := strconv.Atoi(os.Getenv("WHERRY_BENCH_PAIRS"))
	if err != nil || n < 1 {
		return 5
	}
	return n
}

// paired measures two sides in turn, the first of each pair second in the next,
// and returns the medians of both and of their ratio, and its range.
func paired(b *testing.B, ours, raw func() float64) (o, r, ratio float64, spread string) {
	b.Helper()
	return pairedTimes(b, pairs(), ours, raw)
}

// pairedTimes is paired with n pairs.
func pairedTimes(b *testing.B, n int, ours, raw func() float64) (o, r, ratio float64, spread string) {
	b.Helper()
	var os, rs, ratios []float64
	for i := range n {
		var x, y float64
		if i%2 == 0 {
			x, y = ours(), raw()
		} else {
			y, x = raw(), ours()
		}
		os, rs, ratios = append(os, x), append(rs, y), append(ratios, x/y)
	}
	b.Logf("ratios %.2f", ratios)
	return median(os), median(rs), median(ratios), fmt.Sprintf("%.2f..%.2f", slices.Min(ratios), slices.Max(ratios))
}

// sample is what something took, in milliseconds.
type sample struct{ median, best float64 }

func sampleOf(list []float64) sample { return sample{median(list), slices.Min(list)} }

func (s sample) String() string { return fmt.Sprintf("%.1f ms (best %.1f)", s.median, s.best) }

// median of a list that is not empty.
func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

var binary struct {
	once      sync.Once
	dir, path string
	err       error
}

// wherry is the real binary, built once.
func wherry(b *testing.B) string {
	b.Helper()
	binary.once.Do(func() {
		if binary.path = os.Getenv("WHERRY_BENCH_BINARY"); binary.path != "" {
			return
		}
		if binary.dir, binary.err = os.MkdirTemp("", "wherry-bench-"); binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "wherry")
		cmd := exec.Command(goTool(), "build", "-o", binary.path, "./cmd/wherry")
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = errors.Join(err, errors.New(string(out)))
		}
	})
	if binary.err != nil {
		b.Fatal("build wherry: ", binary.err)
	}
	return binary.path
}

// root is the module's folder.
const root = "../.."

func goTool() string { return cmp.Or(os.Getenv("GO"), "go") }

// command is a call of wherry with a home of its own. Its words are kept for
// what fails.
func command(b *testing.B, home string, args ...string) (*exec.Cmd, *strings.Builder) {
	b.Helper()
	cmd := exec.Command(wherry(b), args...)
	cmd.Env = append(os.Environ(), "WHERRY_HOME="+home, "NO_COLOR=1")
	said := &strings.Builder{}
	cmd.Stderr = said
	return cmd, said
}

// succeed runs wherry and fails the benchmark unless it exits with 0.
func succeed(b *testing.B, home string, args ...string) {
	b.Helper()
	cmd, said := command(b, home, args...)
	if err := cmd.Run(); err != nil {
		b.Fatalf("wherry %s: %v\n%s", strings.Join(args, " "), err, tail(said.String()))
	}
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// write puts a pipeline file into a folder of its own.
func write(b *testing.B, text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}
