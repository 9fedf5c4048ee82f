package argo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// chain returns a pipeline of n tasks, each of which reads what two before it
// wrote.
func chain(n int) *source.File {
	var b strings.Builder
	b.WriteString(head + "      entrypoint: main\n      templates:\n" + train + "        - name: main\n          dag:\n            tasks:\n")
	for i := range n {
		value := "/data/0"
		if i > 0 {
			value = fmt.Sprintf("{{tasks.t%d.outputs.parameters.lr}}", i-1)
		}
		fmt.Fprintf(&b, "              - name: t%d\n                template: train\n                arguments: {parameters: [{name: lr, value: %q}]}\n", i, value)
		if i > 1 {
			fmt.Fprintf(&b, "                dependencies: [t%d]\n", i-2)
		}
	}
	return &source.File{Name: "chain.yaml", Text: []byte(b.String())}
}

func TestLongChain(t *testing.T) {
	p, err := read(chain(5_000), Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := p.Components["main"].Graph.Tasks["t4999"]
	if got := join2(last); got != "t4997 t4998|data-1=t4998.data models-1=t4998.models" {
		t.Errorf("the last task has %s", got)
	}
}

// TestDagsOfDags reads what runs 2^40 tasks side by side, in bounded memory.
func TestDagsOfDags(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "      entrypoint: d0\n      templates:\n")
	for i := range 40 {
		fmt.Fprintf(&b, "        - {name: d%d, dag: {tasks: [{name: a, template: d%d}, {name: b, template: d%d}]}}\n", i, i+1, i+1)
	}
	f := func(args string) *source.File {
		return &source.File{Name: "flow.yaml", Text: []byte(b.String() + "        - {name: d40, container: {image: x, args: " + args + "}}\n")}
	}
	if _, err := read(f("[]"), Options{}); err != nil {
		t.Error(err)
	}
	if _, err := read(f("[--to, /data/x]"), Options{}); err == nil || !strings.Contains(err.Error(), "too many tasks write one directory") {
		t.Errorf("got %v", err)
	}
}

func TestParametersOfTheRun(t *testing.T) {
	file := &source.File{Name: "flow.yaml", Text: []byte(head + indent(`
entrypoint: a
arguments: {parameters: [{name: out, value: /results/x}]}
templates:
- {name: a, container: {image: x, args: [--out, "{{workflow.parameters.out}}"]}}`, 6))}
	for want, params := range map[string]map[string]any{"/results<-[]": nil, "/else<-[]": {"out": "/else/x"}} {
		p, err := read(file, Options{Parameters: params})
		if err != nil {
			t.Fatal(err)
		}
		if got := dirsOf(p.Components["a"]); got != want {
			t.Errorf("%v: directories %s, want %s", params, got, want)
		}
	}
}

// BenchmarkRead reads and validates 1,000 tasks that hand on two directories.
func BenchmarkRead(b *testing.B) {
	f := chain(1000)
	for b.Loop() {
		docs, err := f.Documents()
		if err != nil {
			b.Fatal(err)
		}
		p, err := Read(f, docs[0], Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := dag.Validate(p, f); err != nil {
			b.Fatal(err)
		}
	}
}

func TestExampleWorkflow(t *testing.T) {
	p := readFile(t, "../../examples/workflow/pipeline.yaml", Options{Mounted: []string{"/app"}})
	score := p.Components["main"].Graph.Tasks["score"]
	if got := join2(score); got != "fit check-log|models-1=fit.models" {
		t.Errorf("score has %s", got)
	}
}
