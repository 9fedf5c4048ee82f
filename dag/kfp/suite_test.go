package kfp_test

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/e2e/need"
)

// read reads and validates a file.
func read(path string) (*dag.Pipeline, error) {
	f, err := source.Read(path)
	if err != nil {
		return nil, err
	}
	docs, err := f.Documents()
	if err != nil {
		return nil, err
	}
	p, err := kfp.Read(f, docs)
	if err != nil {
		return nil, err
	}
	return p, dag.Validate(p, f)
}

// files returns the YAML files of a folder and those below.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".yaml" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// index returns the rows of the suite's table by the names of its columns.
func index(t *testing.T, dir string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "kfp", "suite", "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestSuite(t *testing.T) {
	dir := need.Shared(t, "")
	for _, row := range index(t, dir) {
		t.Run(row["path"], func(t *testing.T) {
			p, err := read(filepath.Join(dir, "kfp", "suite", row["path"]))
			if row["state"] == "REJECTED" {
				if e, ok := errors.AsType[*source.Error](err); !ok || e.Msg == "" {
					t.Errorf("error %v, want a *source.Error", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Unsupported) > 0 {
				t.Errorf("refused for %v", p.Unsupported)
			}
		})
	}
}

func TestOwn(t *testing.T) {
	dir := need.Shared(t, "")
	var paths []string
	for _, folder := range []string{"kfp/own", "kfp/ecommerce", "bench/pipelines"} {
		paths = append(paths, files(t, filepath.Join(dir, filepath.FromSlash(folder)))...)
	}
	for _, path := range paths {
		p, err := read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(p.Unsupported) > 0 {
			t.Errorf("%s: refused for %v", path, p.Unsupported)
		}
	}
}
