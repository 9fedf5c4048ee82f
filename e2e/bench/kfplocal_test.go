package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// race is one pipeline that kfp.local and wherry run in turn, compiled files of
// testdata (testdata/make.py).
type race struct {
	what, file string
	limit      float64 // kfp.local's time over ours, at least
	pairs      int     // at most; a loop of kfp.local takes minutes
	items      int     // iterations of a loop; 0: it has none
}

// BenchmarkKFPLocal: kfp.local's seconds over ours, once the layers exist. Of
// kfp.local only the run itself counts, not the start of Python and kfp; of wherry
// the whole process does.
func BenchmarkKFPLocal(b *testing.B) {
	for _, r := range []race{
		{what: "chain of 10 lightweight components", file: "python_chain", limit: 3, pairs: 3},
		{what: "chain of 10 with packages_to_install", file: "packages_chain", limit: 4, pairs: 3},
		{what: "40 container steps side by side", file: "containers_side", limit: 1.6, pairs: 3},
		{what: "10 lightweight components side by side", file: "python_side", limit: 5, pairs: 3},
		{what: "loop of %d lightweight components", file: "python_loop", limit: 2, pairs: 1, items: iterations()},
		{what: "loop of %d container steps", file: "container_loop", limit: 1.2, pairs: 1, items: iterations()},
	} {
		b.Run(r.file, func(b *testing.B) {
			file, err := filepath.Abs(filepath.Join("testdata", r.file+".yaml"))
			if err != nil {
				b.Fatal(err)
			}
			python := kfpPython(b)
			dial(b) // an engine, and python:3.11-slim
			home := b.TempDir()
			ours := func() float64 { return r.wherry(b, home, file) }
			theirs := func() float64 { return r.kfpLocal(b, python, file) }
			warm := r
			warm.items = min(warm.items, 1)
			warm.wherry(b, home, file) // its layers
			for b.Loop() {
				r.report(b, "", theirs, ours)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFirstRun: the same where nothing exists yet, neither a home nor layers:
// the base image is a new one each time. What pip has downloaded before stays.
func BenchmarkFirstRun(b *testing.B) {
	for _, r := range []race{
		{what: "chain of 10 lightweight components", file: "python_chain", limit: 1, pairs: 2},
		{what: "chain of 10 with packages_to_install", file: "packages_chain", limit: 1, pairs: 2},
	} {
		b.Run(r.file, func(b *testing.B) {
			python := kfpPython(b)
			dial(b)
			text, err := os.ReadFile(filepath.Join("testdata", r.file+".yaml"))
			if err != nil {
				b.Fatal(err)
			}
			fresh := func() string {
				return write(b, strings.ReplaceAll(string(text), "image: python:3.11", "image: "+freshImage(b)))
			}
			ours := func() float64 { return r.wherry(b, b.TempDir(), fresh()) }
			theirs := func() float64 { return r.kfpLocal(b, python, fresh()) }
			for b.Loop() {
				r.report(b, ", the very first run", theirs, ours)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func (r race) report(b *testing.B, when string, theirs, ours func() float64) {
	b.Helper()
	them, us, ratio, spread := pairedTimes(b, min(r.pairs, pairs()), theirs, ours)
	what := r.what
	if r.items > 0 {
		what = fmt.Sprintf(what, r.items)
	}
	b.ReportMetric(us, "s")
	b.ReportMetric(them, "kfp.local-s")
	b.ReportMetric(ratio, "ratio")
	check(b, ratio >= r.limit, row{
		what: "kfp.local over wherry: " + what + when, figure: fmt.Sprintf("%.2fx (%s)", ratio, spread),
		limit: fmt.Sprintf("%gx", r.limit), floor: fmt.Sprintf("%.1f s by kfp.local, %.1f s here", them, us),
	})
}

// iterations is the length of the loops.
func iterations() int { return shorter("WHERRY_BENCH_ITERATIONS", 200) }

// shorter is a count that the environment may change.
func shorter(name string, whole int) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil || n < 1 {
		return whole
	}
	return n
}

// list is the loop's items in JSON: 1, 2, …
func (r race) list() string {
	items := make([]int, r.items)
	for i := range items {
		items[i] = i + 1
	}
	text, _ := json.Marshal(items)
	return string(text)
}

// wherry runs a file and returns seconds.
func (r race) wherry(b *testing.B, home, file string) float64 {
	b.Helper()
	args := []string{"run", file, "--no-cache", "-o", "json"}
	if r.items > 0 {
		args = append(args, "-p", "items="+r.list())
	}
	start := time.Now()
	succeed(b, home, args...)
	return time.Since(start).Seconds()
}

// kfpLocal runs a file with kfp.local as it ships and returns seconds.
func (r race) kfpLocal(b *testing.B, python, file string) float64 {
	b.Helper()
	args := []string{"-W", "ignore", filepath.Join("testdata", "kfp_local.py"), file}
	if r.items > 0 {
		args = append(args, `{"items": `+r.list()+`}`)
	}
	for try := 1; ; try++ {
		cmd := exec.Command(python, args...)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		took, bad := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err == nil && bad == nil {
			return took
		}
		if try == 3 { // it loses sight of a container now and then
			b.Fatalf("kfp.local: %v\n%s", cmp.Or(err, bad), tail(said.String()))
		}
		b.Logf("kfp.local failed, once more: %v", cmp.Or(err, bad))
	}
}

// kfpPython is the interpreter that has kfp and the engine's client.
func kfpPython(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("WHERRY_TEST_KFP")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			skip(b, "%v", err)
		}
		dir = filepath.Join(cache, "wherry", "kfp-2.17.0")
	}
	python := filepath.Join(dir, "bin", "python")
	if out, err := exec.Command(python, "-c", "import kfp, docker").CombinedOutput(); err != nil {
		skip(b, "no kfp.local (scripts/kfp-env.sh --local makes it): %v %s", err, tail(string(out)))
	}
	return python
}

// freshImage is python:3.11 under an identity that nothing was built on before. It
// goes with the benchmark, and with it the layers on it.
func freshImage(b *testing.B) string {
	b.Helper()
	name := fmt.Sprintf("wherry-bench/fresh:%d", time.Now().UnixNano())
	id := docker(b, "create", "python:3.11", "true")
	defer docker(b, "rm", id)
	image := docker(b, "commit", "--change", "LABEL wherry.bench="+name, id, name)
	b.Cleanup(func() {
		for _, layer := range strings.Fields(docker(b, "images", "-q", "--no-trunc", "--filter", "label=wherry.bench="+name)) {
			if layer != image {
				docker(b, "rmi", "-f", layer)
			}
		}
		docker(b, "rmi", "-f", image)
	})
	return name
}

// docker is a call of the engine's own command, which must succeed.
func docker(b *testing.B, args ...string) string {
	b.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
