package suggest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLatency prints what one proposal takes after so many trials of so many parameters,
// beside the processor time that shared/tuning/latency.csv has of other libraries, for
// the same objective and parameters. With -gate.full it fails where the best sample is
// above the aim.
func TestLatency(t *testing.T) {
	if !*gateFull {
		t.Skip("make bench runs it")
	}
	peers := map[string]string{"tpe": "optuna-tpe-univariate", "multivariate-tpe": "optuna-tpe", "bayesianoptimization": "optuna-gp"}
	aims := map[string]time.Duration{"tpe": 5 * time.Millisecond, "multivariate-tpe": 5 * time.Millisecond,
		"bayesianoptimization": 250 * time.Millisecond, "cmaes": time.Millisecond}
	theirs := map[string]string{}
	for _, row := range readCSV(t, "latency.csv")[1:] {
		if row[1] == "memory" {
			theirs[strings.Join([]string{row[0], row[3], row[4]}, " ")] = row[6]
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %10s %6s  %12s %12s %12s\n", "algorithm", "parameters", "trials", "median", "best", "peer's CPU")
	for _, name := range []string{"tpe", "multivariate-tpe", "bayesianoptimization", "cmaes"} {
		for _, parameters := range []int{5, 20} {
			for _, n := range []int{100, 500, 1000} {
				samples := latency(t, name, parameters, n)
				peer := "-"
				if s, err := strconv.ParseFloat(theirs[fmt.Sprintf("%s %d %d", peers[name], parameters, n)], 64); err == nil {
					peer = fmt.Sprintf("%.1f ms", 1000*s)
				}
				best := slices.Min(samples)
				fmt.Fprintf(&b, "%-22s %10d %6d  %12s %12s %12s\n", name, parameters, n, middle(samples), best, peer)
				if best > aims[name] {
					t.Errorf("%s with %d parameters after %d trials takes %s, the aim is %s", name, parameters, n, best, aims[name])
				}
			}
		}
	}
	t.Log("\n" + b.String())
}

// latency is what single proposals took, each after one trial more.
func latency(t *testing.T, name string, parameters, n int) (out []time.Duration) {
	s := cube(parameters, -5, 10)
	loss := func(x Point) []float64 {
		sum := 0.0
		for _, v := range x {
			sum += (v - 1) * (v - 1)
		}
		return []float64{sum}
	}
	history := drawnHistory(t, &s, n, 1, loss)
	a, err := New(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	samples := 30
	if name == "bayesianoptimization" {
		samples = 5
	}
	for range samples {
		start := time.Now()
		p, err := a.Next(Query{Space: &s, History: history, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, time.Since(start))
		history = append(history, Trial{Proposal: p, Number: len(history), State: Succeeded, Losses: loss(p.Point)})
	}
	return out
}

func middle(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2].Round(10 * time.Microsecond)
}
