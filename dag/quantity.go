package dag

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// binary and decimal suffixes of Kubernetes quantities.
var suffixes = []struct {
	text  string
	scale float64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"Pi", 1 << 50}, {"Ei", 1 << 60},
	{"n", 1e-9}, {"u", 1e-6}, {"m", 1e-3}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"E", 1e18},
}

// parseQuantity reads a Kubernetes quantity ("250m", "4Gi", "0.5", "1e3") and
// returns it in thousandths, rounded up to whole ones.
func parseQuantity(text string) (int64, error) {
	text = strings.TrimSpace(text)
	number, scale := text, 1.0
	for _, s := range suffixes {
		if n, ok := strings.CutSuffix(text, s.text); ok && n != "" {
			number, scale = n, s.scale
			break
		}
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || x < 0 || strings.Trim(number, "0123456789+-.eE") != "" {
		return 0, fmt.Errorf("%q is not a quantity like 250m, 2 or 4Gi", text)
	}
	milli := math.Ceil(x*scale*1000 - 1e-6)
	if milli >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is more than any machine has", text)
	}
	return int64(milli), nil
}

// parseCPU returns millicores.
func parseCPU(text string) (int64, error) { return parseQuantity(text) }

// parseMemory returns bytes.
func parseMemory(text string) (int64, error) {
	milli, err := parseQuantity(text)
	return milli/1000 + min(1, milli%1000), err
}

// ParseBytes reads a size like "20Gi" or "500M".
func ParseBytes(text string) (int64, error) { return parseMemory(text) }

// parseCount returns a number of devices.
func parseCount(text string) (int, error) {
	milli, err := parseQuantity(text)
	if err == nil && milli%1000 != 0 {
		err = fmt.Errorf("%q is not a whole number", text)
	}
	return int(milli / 1000), err
}

// FormatCPU returns millicores as people write them: "250m", "2".
func FormatCPU(milli int64) string {
	if milli%1000 == 0 {
		return strconv.FormatInt(milli/1000, 10)
	}
	return strconv.FormatInt(milli, 10) + "m"
}

// FormatBytes returns bytes with a binary suffix: "512Mi", "1.5Gi".
func FormatBytes(n int64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti"}
	x, i := float64(n), 0
	for x >= 1024 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) + units[i]
}

// placeholders reports whether a quantity is known only when the task starts.
func (r Resources) placeholders() bool {
	for _, text := range []Text{r.CPURequest, r.CPULimit, r.MemoryRequest, r.MemoryLimit, r.AcceleratorCount} {
		for _, part := range text {
			if part.Ref != nil {
				return true
			}
		}
	}
	return false
}

// ParseMemory reads a Kubernetes quantity of memory and returns bytes.
func ParseMemory(text string) (int64, error) { return parseMemory(text) }
