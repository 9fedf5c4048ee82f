package kfp_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/e2e/need"
	"go.yaml.in/yaml/v3"
)

// FuzzRead looks for panics, for errors that are none of a file's, and for files
// that take long to read or become much larger than they are.
func FuzzRead(f *testing.F) {
	for _, text := range []string{small, loop} {
		f.Add(text)
	}
	for _, path := range append(files(f, "testdata/golden"), sharedSeeds(f)...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(readAny)
}

// readAny reads a text that may be anything.
func readAny(t *testing.T, text string) {
	file := &source.File{Name: "p.yaml", Text: []byte(text)}
	docs, err := file.Documents()
	if err != nil {
		return
	}
	start := time.Now()
	kfp.Sniff(docs[0])
	p, err := kfp.Read(file, docs)
	if err == nil {
		err = dag.Validate(p, file)
	}
	valid := err == nil
	if valid {
		err = dag.Refuse(p, file)
	}
	if _, ok := errors.AsType[*source.Error](err); err != nil && !ok {
		t.Errorf("error %T %v", err, err)
	}
	if p == nil {
		return
	}
	if valid {
		run := &dag.Run{ID: "r", Pipeline: p}
		dag.NewPlan(run)
		for _, c := range p.Components {
			c.StaticResources()
			c.StaticPod(run, "/home")
		}
	}
	model, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if max := 1000*len(text) + 1<<20; len(model) > max {
		t.Errorf("%d bytes became %d", len(text), len(model))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%d bytes took %s", len(text), took)
	}
}

// FuzzMutated reads real pipelines in which values were swapped, repeated, taken
// out or replaced: nearly right, where mutated text is mostly no YAML.
func FuzzMutated(f *testing.F) {
	var seeds []*yaml.Node
	for _, text := range []string{small, loop} {
		seeds = append(seeds, parseNode(f, []byte(text)))
	}
	for _, path := range append(files(f, "testdata/golden"), sharedSeeds(f)...) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if n := parseNode(f, text); n != nil {
			seeds = append(seeds, n)
		}
	}
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		doc := clone(seeds[r.IntN(len(seeds))])
		for range 1 + r.IntN(3) {
			mutate(r, doc)
		}
		text, err := yaml.Marshal(doc)
		if err != nil {
			return
		}
		readAny(t, string(text))
	})
}

// parseNode returns the first document of a text, or nil.
func parseNode(f *testing.F, text []byte) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

func clone(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		out.Content[i] = clone(c)
	}
	return &out
}

// mutate changes one value of a document.
func mutate(r *rand.Rand, doc *yaml.Node) {
	var nodes []*yaml.Node // those that hold others
	var all []*yaml.Node
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		all = append(all, n)
		if len(n.Content) > 1 {
			nodes = append(nodes, n)
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(doc)
	if len(nodes) == 0 {
		return
	}
	n := nodes[r.IntN(len(nodes))]
	i := r.IntN(len(n.Content))
	switch r.IntN(6) {
	case 0: // another value of the file
		n.Content[i] = clone(all[r.IntN(len(all))])
	case 1: // two of them change places
		j := r.IntN(len(n.Content))
		n.Content[i], n.Content[j] = n.Content[j], n.Content[i]
	case 2: // a key and its value, or two items, less
		i -= i % 2
		n.Content = append(n.Content[:i:i], n.Content[min(i+2, len(n.Content)):]...)
	case 3: // an odd value
		odd := []string{"null", "0", "-1", "1e400", "\"\"", "[]", "{}", "true", "\"{{$.inputs.parameters['x']}}\"", "[[[]]]", "9223372036854775808", ".nan", "\"{{$}}\""}
		var doc yaml.Node
		if yaml.Unmarshal([]byte(odd[r.IntN(len(odd))]), &doc) == nil && len(doc.Content) > 0 {
			n.Content[i] = doc.Content[0]
		}
	case 4: // a placeholder of an input that is there or not
		if n.Content[i].Kind == yaml.ScalarNode {
			n.Content[i].Value = "a{{$.inputs.parameters['" + all[r.IntN(len(all))].Value + "']}}"
		}
	case 5: // one thing called like another
		n.Content[i].Value = all[r.IntN(len(all))].Value
	}
}

// sharedSeeds are real pipelines, where they are.
func sharedSeeds(f *testing.F) []string {
	dir, err := need.FindShared("kfp")
	if err != nil && !need.InCI() {
		return nil // there are others
	}
	if err != nil {
		f.Fatal(err)
	}
	return append(files(f, filepath.Join(dir, "suite")), files(f, filepath.Join(dir, "own"))...)
}
