package kfp_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
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
	f.Fuzz(func(t *testing.T, text string) {
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
		if err == nil {
			err = dag.Refuse(p, file)
		}
		if _, ok := errors.AsType[*source.Error](err); err != nil && !ok {
			t.Errorf("error %T %v", err, err)
		}
		if p == nil {
			return
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
	})
}

// sharedSeeds are real pipelines, where they are.
func sharedSeeds(f *testing.F) []string {
	dir := sharedFolder(f)
	if dir == "" {
		return nil
	}
	return append(files(f, filepath.Join(dir, "kfp", "suite")), files(f, filepath.Join(dir, "kfp", "own"))...)
}
