package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// BenchmarkLightStep: a lightweight step, in a chain of 10, at most 1.15 times the
// raw calls of a container that starts the interpreter and imports kfp.
func BenchmarkLightStep(b *testing.B) {
	const n, limit = 10, 1.15
	e := dial(b)
	image := kfpImage(b)
	home := b.TempDir()
	r := race{file: "python_chain"}
	file := filepath.Join("testdata", r.file+".yaml")
	run := func() float64 { return r.wherry(b, home, file) / n }
	raw := func() float64 {
		start := time.Now()
		for range n {
			e.run(b, map[string]any{
				"Image": image, "Env": []string{"_KFP_RUNTIME=true"}, "Cmd": []string{"python3", "-c", "import kfp.dsl.executor_main"},
			})
		}
		return time.Since(start).Seconds() / n
	}
	run() // its layer
	for b.Loop() {
		ours, them, ratio, spread := paired(b, run, raw)
		b.ReportMetric(ours*1e3, "ms/step")
		b.ReportMetric(them*1e3, "raw-ms/step")
		b.ReportMetric(ratio, "ratio")
		check(b, ratio <= limit, row{
			what: fmt.Sprintf("chain of %d lightweight components, per step", n), figure: fmt.Sprintf("%.2fx (%s)", ratio, spread),
			limit: "1.15x", floor: fmt.Sprintf("%.0f ms by hand (interpreter, import kfp), %.0f ms here", them*1e3, ours*1e3),
		})
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLightFanOut: lightweight steps side by side, 8 at once: at least 0.95
// times the steps a second of the same commands by hand, 8 at once.
func BenchmarkLightFanOut(b *testing.B) {
	const n, parallel, limit = 40, 8, 0.95
	e := dial(b)
	image := kfpImage(b)
	home := b.TempDir()
	r := race{file: "python_loop", items: n}
	file := filepath.Join("testdata", r.file+".yaml")
	command := lightCommand(b, file)
	run := func() float64 {
		start := time.Now()
		succeed(b, home, "run", file, "--no-cache", "-o", "json", "--max-parallel", fmt.Sprint(parallel), "-p", "items="+r.list())
		return n / time.Since(start).Seconds()
	}
	raw := func() float64 {
		return sideBySide(n, parallel, func(i int) {
			e.run(b, map[string]any{"Image": image, "Cmd": command(i)})
		})
	}
	run() // its layer
	for b.Loop() {
		ours, them, ratio, spread := paired(b, run, raw)
		b.ReportMetric(ours, "steps/s")
		b.ReportMetric(them, "raw-steps/s")
		b.ReportMetric(ratio, "ratio")
		check(b, ratio >= limit, row{
			what: fmt.Sprintf("loop of %d lightweight components, %d at once, steps a second", n, parallel), figure: fmt.Sprintf("%.2fx (%s)", ratio, spread),
			limit: "0.95x", floor: fmt.Sprintf("%.1f/s by hand, %.1f/s here", them, ours),
		})
	}
	b.ReportMetric(0, "ns/op")
}

// lightCommand returns what a compiled lightweight component runs once its packages
// are there, for a value of n.
func lightCommand(b *testing.B, file string) func(n int) []string {
	b.Helper()
	var doc struct {
		DeploymentSpec struct {
			Executors map[string]struct{ Container struct{ Command []string } }
		} `yaml:"deploymentSpec"`
	}
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		b.Fatal(err)
	}
	all := doc.DeploymentSpec.Executors["exec-inc"].Container.Command
	if len(all) < 5 || all[3] != "sh" { // sh -c <pip> sh -ec <bootstrap> <source>
		b.Fatalf("%s: an unknown command %.80q", file, all)
	}
	return func(n int) []string {
		input := fmt.Sprintf(`{"inputs":{"parameterValues":{"n":%d}},"outputs":{"parameters":{"Output":{"outputFile":"/tmp/out/Output"}},"outputFile":"/tmp/out/meta.json"}}`, n)
		return append(all[3:len(all):len(all)], "--executor_input", input, "--function_to_execute", "inc")
	}
}

// kfpImage is python:3.11 with kfp, made by hand as a layer would be.
func kfpImage(b *testing.B) string {
	b.Helper()
	const name = "wherry-bench/kfp:2.17.0"
	container := fmt.Sprintf("wherry-bench-kfp-%d", os.Getpid())
	docker(b, "run", "--name", container, "python:3.11", "python3", "-m", "pip", "install", "-q", "--no-deps", "kfp==2.17.0")
	docker(b, "commit", container, name)
	docker(b, "rm", container)
	b.Cleanup(func() { docker(b, "rmi", "-f", name) })
	return name
}
