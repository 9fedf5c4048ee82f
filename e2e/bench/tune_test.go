package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// BenchmarkTrials: a thousand trials of a Python process that prints its metric, eight
// at once, over a bare loop that starts the same processes; under 1.5 times.
// WHERRY_BENCH_TRIALS=100 makes it short.
func BenchmarkTrials(b *testing.B) {
	const workers, limit = 8, 1.5
	n := shorter("WHERRY_BENCH_TRIALS", 1000)
	home := b.TempDir()
	tune := func(n int) {
		succeed(b, home, "tune", "-s", "x=uniform(0,1)", "--minimize", "m", "--algorithm", "random", "--max-trials", strconv.Itoa(n),
			"--parallel", strconv.Itoa(workers), "--backend", "process", "-q", "-o", "json", "--", "python3", "-c", `print("m=1")`)
	}
	tune(workers)                                                                     // the environment is made
	python, err := filepath.Glob(filepath.Join(home, "venvs", "*", "bin", "python3")) // what ours starts
	if err != nil || len(python) != 1 {
		b.Fatal(python, err)
	}
	ours := func() float64 {
		start := time.Now()
		tune(n)
		return time.Since(start).Seconds()
	}
	bare := func() float64 {
		var g errgroup.Group
		g.SetLimit(workers)
		start := time.Now()
		for range n {
			g.Go(func() error { return exec.Command(python[0], "-c", `print("m=1")`).Run() })
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		return time.Since(start).Seconds()
	}
	for b.Loop() {
		us, loop, ratio, spread := paired(b, ours, bare)
		b.ReportMetric(ratio, "ratio")
		b.ReportMetric(1e3*(us-loop)/float64(n), "own-ms/trial")
		check(b, ratio < limit, row{
			what: fmt.Sprintf("%d trials of a Python process, 8 at once", n), figure: fmt.Sprintf("%.2fx (%s)", ratio, spread), limit: "1.5x",
			floor: fmt.Sprintf("%.1f s by a bare loop, %.1f s here", loop, us),
		})
	}
	b.ReportMetric(0, "ns/op")
}
