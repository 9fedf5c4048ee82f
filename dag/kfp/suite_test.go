package kfp_test

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
)

// shared returns the folder of shared data, or skips.
func shared(t testing.TB) string {
	t.Helper()
	dir := sharedFolder(t)
	if dir == "" {
		t.Skip("no KFP suite (WHERRY_SHARED names its folder)")
	}
	return dir
}

// sharedFolder is the folder of shared data, "" where there is none. CI has one.
func sharedFolder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("WHERRY_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "kfp", "suite", "index.tsv")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no KFP suite: %v (WHERRY_SHARED names its folder)", err)
		}
		return ""
	}
	return dir
}

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

// refusals are what the index names of a file, and how Unsupported names it.
var refusals = map[string]string{
	"remote-import:gs": "gs:// import",
}

func TestSuite(t *testing.T) {
	dir := shared(t)
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
			if diff := cmp.Diff(wantRefusals(row), gotRefusals(p)); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func wantRefusals(row map[string]string) []string {
	want := map[string]bool{}
	for _, word := range strings.Split(row["constructs"]+";"+row["needs"], ";") {
		if as := refusals[word]; as != "" {
			want[as] = true
		}
	}
	return slices.Sorted(maps.Keys(want))
}

// gotRefusals returns what a pipeline is refused for, by the words of refusals.
func gotRefusals(p *dag.Pipeline) []string {
	got := map[string]bool{}
	for _, u := range p.Unsupported {
		what, _, _ := strings.Cut(u.What, " of ")
		for _, prefix := range refusals {
			if strings.HasPrefix(u.What, prefix) {
				what = prefix
			}
		}
		got[what] = true
	}
	return slices.Sorted(maps.Keys(got))
}

// refused are the files of own/ that this version refuses, and the first thing it
// refuses them for; it runs the others.
var refused = map[string]string{
	"importer_uris": "wherry-test:// import",
}

func TestOwn(t *testing.T) {
	dir := shared(t)
	got := map[string]string{}
	for _, path := range files(t, filepath.Join(dir, "kfp", "own")) {
		p, err := read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(p.Unsupported) > 0 {
			what, _, _ := strings.Cut(p.Unsupported[0].What, " of ")
			got[strings.TrimSuffix(filepath.Base(path), ".yaml")] = what
		}
	}
	if diff := cmp.Diff(refused, got); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestRest(t *testing.T) {
	dir := shared(t)
	for _, path := range append(files(t, filepath.Join(dir, "kfp", "ecommerce")), files(t, filepath.Join(dir, "bench", "pipelines"))...) {
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
