package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/argo"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
)

// readLimit is for 1,000 tasks, in milliseconds.
const readLimit = 100

// BenchmarkRead reads, validates and plans 1,000 tasks in this process. The
// floor is the YAML parser alone.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"kind: Pipeline", layers(10, 100, "python:3.11")},
		{"IR", compiled(1000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				ours := millis(b, 15, func() error { return plan(c.text) })
				parse := millis(b, 15, func() error {
					var n yaml.Node
					return yaml.Unmarshal([]byte(c.text), &n)
				})
				b.ReportMetric(ours.median, "ms/op")
				within(b, ours, readLimit, row{what: "read, validate, plan 1,000 tasks of " + c.name, floor: parse.String() + " to parse the YAML"})
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// plan is what wherry run does to a file before anything starts.
func plan(text string) error {
	f := &source.File{Name: "pipeline.yaml", Text: []byte(text)}
	docs, err := f.Documents()
	if err != nil {
		return err
	}
	var p *dag.Pipeline
	if argo.Sniff(docs[0]) {
		p, err = argo.Read(f, docs[0], argo.Options{})
	} else {
		p, err = kfp.Read(f, docs)
	}
	if err == nil {
		err = dag.Validate(p, f)
	}
	if err == nil {
		err = dag.Refuse(p, f)
	}
	if err != nil {
		return err
	}
	made := dag.NewPlan(&dag.Run{ID: "bench", Name: "bench", Pipeline: p})
	if len(made.Tasks) != 1000 {
		return fmt.Errorf("%d tasks were planned", len(made.Tasks))
	}
	return json.NewEncoder(io.Discard).Encode(made)
}

// BenchmarkDryRun is the same as a whole process; the floor is a process that
// does nothing.
func BenchmarkDryRun(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"kind: Pipeline", layers(10, 100, "python:3.11")},
		{"IR", compiled(1000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			file, home := write(b, c.text), b.TempDir()
			for b.Loop() {
				ours := millis(b, 15, func() error {
					succeed(b, home, "run", file, "--dry-run", "-o", "json")
					return nil
				})
				nothing := millis(b, 15, func() error { return exec.Command("true").Run() })
				b.ReportMetric(ours.median, "ms/op")
				within(b, ours, readLimit, row{what: "run --dry-run of the same, " + c.name, floor: nothing.String() + " to start a process"})
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// millis is the time of n calls, after one that does not count.
func millis(b *testing.B, n int, f func() error) sample {
	b.Helper()
	var took []float64
	for range n + 1 {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start).Seconds()*1e3)
	}
	return sampleOf(took[1:])
}
