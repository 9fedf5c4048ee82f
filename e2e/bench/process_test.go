package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkVersion: the start of the binary, under 30 ms.
func BenchmarkVersion(b *testing.B) {
	const limit = 30
	home := b.TempDir()
	for b.Loop() {
		ours := millis(b, 25, func() error {
			succeed(b, home, "version")
			return nil
		})
		nothing := millis(b, 25, func() error { return exec.Command("true").Run() })
		b.ReportMetric(ours.median, "ms/op")
		within(b, ours, limit, row{what: "wherry version", floor: nothing.String() + " to start a process"})
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRoom: a step that needs the whole machine starts when the one before
// gives it back, not at some tick. A chain of such steps over a chain of steps
// that ask for nothing; the issue sets no limit.
func BenchmarkRoom(b *testing.B) {
	const n = 20
	home := b.TempDir()
	free := chain(n, "python:3.11")
	whole := strings.Replace(free, "container: {", fmt.Sprintf("container: {resources: {requests: {cpu: %d}}, ", runtime.NumCPU()), 1)
	run := func(text string) func() float64 {
		file := write(b, text)
		return func() float64 {
			start := time.Now()
			succeed(b, home, "run", file, "--backend", "process", "--no-cache", "-o", "json")
			return time.Since(start).Seconds() / n
		}
	}
	first, second := run(whole), run(free)
	first()
	for b.Loop() {
		ours, them, ratio, spread := paired(b, first, second)
		b.ReportMetric(ratio, "ratio")
		floor("chain of steps that need all CPUs over one of steps that don't", fmt.Sprintf("%.2fx (%s), %.0f and %.0f ms a step", ratio, spread, ours*1e3, them*1e3))
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMemory: what wherry itself holds at most while it runs 1,000 tasks on
// the process backend, under 60 MB. The floor is a run of one task.
func BenchmarkMemory(b *testing.B) {
	const limit = 60
	if _, err := os.Stat("/proc/self/status"); err != nil {
		skip(b, "no /proc here")
	}
	thousand, one := write(b, layers(10, 100, "python:3.11")), write(b, chain(1, "python:3.11"))
	for b.Loop() {
		home := b.TempDir()
		least, _ := peak(b, home, one)
		most, took := peak(b, home, thousand)
		b.ReportMetric(most, "MB")
		b.ReportMetric(1000/took.Seconds(), "tasks/s")
		check(b, most < limit, row{
			what: "resident memory, 1,000 tasks as processes", figure: fmt.Sprintf("%.1f MB", most), limit: "60 MB",
			floor: fmt.Sprintf("%.1f MB for one task", least),
		})
		floor("  their time", fmt.Sprintf("%.1f s, %.0f tasks/s", took.Seconds(), 1000/took.Seconds()))
	}
	b.ReportMetric(0, "ns/op")
}

// peak runs a file and returns the largest resident size of wherry's own
// process, in MB of 2^20 bytes. Not by wait4: its figure counts the children, and
// before exec the process that started it.
func peak(b *testing.B, home, file string) (mb float64, took time.Duration) {
	b.Helper()
	start := time.Now()
	cmd, said := command(b, home, "run", file, "--backend", "process", "--no-cache", "-o", "json")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("run: %v\n%s", err, tail(said.String()))
			}
			return mb, time.Since(start)
		case <-time.After(5 * time.Millisecond):
			mb = max(mb, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is VmHWM of a process in MB, 0 once it has ended.
func highWater(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 64)
			return kb / 1024
		}
	}
	return 0
}
