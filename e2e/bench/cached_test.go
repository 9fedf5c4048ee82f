package bench

import (
	"cmp"
	"crypto/md5" // DVC's
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkCached: a run of 1,000 container tasks, artifacts handed on from layer to
// layer, of which all are in the cache: under 0.5 s as a whole process, also with
// 100,000 executions in the database, and at most a tenth of what DVC takes to see that
// an equal graph has nothing to do. The floor is ninja's look at the same.
func BenchmarkCached(b *testing.B) {
	const limit, faster, runs = 500, 10, 15
	g := graph{depth: 10, width: 100}
	e := dial(b)
	file, home := write(b, g.kfp(e.image)), b.TempDir()
	began := time.Now()
	succeed(b, home, "run", file, "--network", "none", "-q")
	b.Logf("%d containers ran in %.0f s", g.tasks(), time.Since(began).Seconds())
	for b.Loop() {
		floorText := ninjaText(b, g)
		cached := func(what string) func() float64 {
			took, cpu := cachedRuns(b, home, file, runs)
			b.ReportMetric(took.median, "ms")
			within(b, took, limit, row{what: what, figure: fmt.Sprintf(", CPU %.0f ms", cpu.median), floor: floorText})
			return func() float64 {
				took, _ := cachedRun(b, home, file)
				return took
			}
		}
		cached(fmt.Sprintf("fully cached run of %d container tasks", g.tasks()))
		n := fillDatabase(b, filepath.Join(home, "wherry.db"), 100_000)
		ours := cached(fmt.Sprintf("  with %d executions in the database", n))
		theirs, version := dvcNoop(b, g)
		them, us, ratio, spread := pairedTimes(b, min(pairs(), 3), theirs, ours)
		b.ReportMetric(ratio, "dvc-ratio")
		check(b, ratio >= faster, row{
			what:   fmt.Sprintf("DVC %s's no-op over that, an equal graph", version),
			figure: fmt.Sprintf("%.1fx (%s)", ratio, spread), limit: fmt.Sprintf("%dx", faster),
			floor: fmt.Sprintf("%.0f ms by DVC, %.0f ms here", them, us),
		})
	}
	b.ReportMetric(0, "ns/op")
}

// cachedRun is the ms of a run, and what of them was CPU time of its process.
func cachedRun(b *testing.B, home, file string) (took, cpu float64) {
	b.Helper()
	cmd, said := command(b, home, "run", file, "--network", "none")
	start := time.Now()
	out, err := cmd.Output()
	took = time.Since(start).Seconds() * 1e3
	if err != nil {
		b.Fatalf("run: %v\n%s", err, tail(said.String()))
	}
	if !strings.Contains(string(out), "1000 tasks: 1000 cached") {
		b.Fatalf("not all was cached:\n%s", tail(string(out)))
	}
	return took, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() * 1e3
}

// cachedRuns is cachedRun n times, after one that does not count.
func cachedRuns(b *testing.B, home, file string, n int) (took, cpu sample) {
	b.Helper()
	cachedRun(b, home, file)
	var wall, work []float64
	for range n {
		w, c := cachedRun(b, home, file)
		wall, work = append(wall, w), append(work, c)
	}
	return sampleOf(wall), sampleOf(work)
}

// peer is the path of a tool that is measured beside us; scripts/peers-env.sh brings it.
func peer(b *testing.B, name string) string {
	b.Helper()
	dir := os.Getenv("WHERRY_BENCH_PEERS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			skip(b, "%v", err)
		}
		found, _ := filepath.Glob(filepath.Join(cache, "wherry", "dvc-*"))
		if len(found) > 0 {
			dir = found[len(found)-1]
		}
	}
	if path := filepath.Join(dir, "bin", name); exec.Command(path, "--version").Run() == nil {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		skip(b, "no %s (scripts/peers-env.sh brings it)", name)
	}
	return path
}

// dvcNoop returns how long `dvc repro` takes, in ms, of an equal graph of which nothing is
// to be done. That is not made by DVC, which takes a quarter of an hour for it, but as it
// would be; it says itself that all is up to date.
func dvcNoop(b *testing.B, g graph) (run func() float64, version string) {
	b.Helper()
	dvc, dir := peer(b, "dvc"), b.TempDir()
	files := g.outputs()
	files["dvc.yaml"], files["dvc.lock"] = g.dvc(), g.dvcLock()
	for _, text := range g.outputs() {
		sum := fmt.Sprintf("%x", md5.Sum([]byte(text)))
		files[".dvc/cache/files/md5/"+sum[:2]+"/"+sum[2:]] = text
	}
	peerRun(b, dir, dvc, "init", "--no-scm", "-q")
	peerRun(b, dir, dvc, "config", "core.analytics", "false")
	peerRun(b, dir, dvc, "config", "core.check_update", "false")
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			b.Fatal(err)
		}
	}
	run = func() float64 {
		out, took := peerRun(b, dir, dvc, "repro")
		if !strings.Contains(out, "Data and pipelines are up to date.") {
			b.Fatalf("dvc repro: not all is up to date:\n%s", tail(out))
		}
		return took
	}
	run() // it remembers the files' times
	return run, versionOf(b, dvc)
}

// peerRun runs a peer in a folder, and returns what it says and its ms.
func peerRun(b *testing.B, dir, tool string, args ...string) (out string, took float64) {
	b.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	start := time.Now()
	text, err := cmd.CombinedOutput()
	took = time.Since(start).Seconds() * 1e3
	if err != nil {
		b.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, tail(string(text)))
	}
	return string(text), took
}

// ninjaText says what ninja takes where nothing is left to do.
func ninjaText(b *testing.B, g graph) string {
	b.Helper()
	ninja := peer(b, "ninja")
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "build.ninja"), []byte(g.ninja()), 0o644); err != nil {
		b.Fatal(err)
	}
	peerRun(b, dir, ninja)
	took := millis(b, 15, func() error {
		if out, _ := peerRun(b, dir, ninja); !strings.Contains(out, "no work to do") {
			return fmt.Errorf("ninja had work to do: %s", tail(out))
		}
		return nil
	})
	return fmt.Sprintf("%s by ninja %s", took, versionOf(b, ninja))
}

func versionOf(b *testing.B, tool string) string {
	b.Helper()
	out, err := exec.Command(tool, "--version").Output()
	if err != nil {
		b.Fatal(tool, ": ", err)
	}
	return cmp.Or(strings.TrimSpace(string(out)), "of unknown version")
}
