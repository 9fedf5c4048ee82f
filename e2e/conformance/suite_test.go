package conformance

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// entry is a row of the suite's index.
type entry struct {
	path, state, tasks string
	needs              []string
	clean              bool
	images             []string
	inputs             map[string]any
	outputs            map[string]any // nil where not known
}

// index reads the suite's index.
func index(t *testing.T) (out []entry) {
	t.Helper()
	f, err := os.Open(filepath.Join(shared, "kfp", "suite", "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		e := entry{path: row["path"], state: row["state"], tasks: row["tasks"], clean: row["clean"] == "yes", needs: list(row["needs"]), images: list(row["images"])}
		object(t, row["inputs"], &e.inputs)
		object(t, row["outputs"], &e.outputs)
		out = append(out, e)
	}
	if len(out) == 0 {
		t.Fatal("the index is empty")
	}
	return out
}

func list(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return r == ';' })
}

func object(t *testing.T, cell string, into *map[string]any) {
	t.Helper()
	if cell == "" {
		return
	}
	if err := json.Unmarshal([]byte(cell), into); err != nil {
		t.Fatalf("%s: %v", cell, err)
	}
}

func (e *entry) file() string { return filepath.Join(shared, "kfp", "suite", e.path) }

// TestSuite runs every file of the suite that can run here.
func TestSuite(t *testing.T) {
	needShared(t)
	n := 0
	for _, e := range index(t) {
		if !e.clean {
			continue
		}
		n++
		t.Run(e.path, func(t *testing.T) {
			t.Parallel()
			for _, image := range e.images {
				if !strings.HasPrefix(image, "python:3.11") && standIn(image) == "" {
					t.Fatalf("no image stands for %q here", image)
				}
			}
			pl := newPlace(t, e.file(), shortened(t, e.path))
			r := pl.call(t, pl.runArgs(e.inputs)...)
			e.report(t, suiteSection, r, append(e.differences(r), left(pl)...))
		})
	}
	if n < 50 {
		t.Errorf("only %d files are marked as able to run", n)
	}
}

// shortened is the project file of what sleeps for minutes: a sleep of its own
// that ends sooner comes first in the PATH, in an image whose shell has none built
// in. The pipeline stays as it is.
func shortened(t *testing.T, path string) project {
	if path != "valid/long-running.yaml" || *long {
		return project{}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sleep"), []byte("#!/bin/sh\nexec /bin/sleep 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return project{
		Images: map[string]string{"alpine:latest": "python:3.11"},
		Mounts: []string{dir + ":/short:ro"}, Env: map[string]string{"PATH": "/short:/bin:/usr/bin"},
	}
}

// held are expectations that are held to be wrong, with the one way in which the run
// differs and the reason. docs/CONFORMANCE.md names the source of each. One that
// comes to hold fails until it is taken out.
var held = map[string]struct{ differs, why string }{
	"valid/preprocess.yaml": {
		"output output_bool_parameter_path is true, not false", "the step writes True, which the backend reads as true",
	},
	"valid/essential/embedded_artifact.yaml": {
		`state FAILED, not SUCCEEDED: task "read-embedded-artifact-dir" failed: exit code 1: AttributeError: module 'kfp.dsl' has no attribute 'EmbeddedInput'`, "it asks for kfp 2.14.3, which has no dsl.EmbeddedInput",
	},
}

// report adds the row and fails the test where there are differences.
func (e *entry) report(t *testing.T, section string, r *result, differs []string) {
	t.Helper()
	line := row{section: section, file: e.path, expected: e.state, got: "no run", took: r.took, ok: len(differs) == 0, differs: differs}
	if e.tasks != "" {
		line.expected += ", " + e.tasks + " steps"
	}
	if r.run != nil {
		line.got = fmt.Sprintf("%s, %d steps", r.run.State, r.run.started())
	}
	if h, ok := held[e.path]; ok && section == suiteSection {
		if got := strings.Join(differs, "; "); got != h.differs {
			t.Errorf("this expectation is held to be wrong, and the run differs otherwise:\n%s\nnot\n%s", got, h.differs)
		}
		line.held, differs = h.why, nil
	}
	table.add(line)
	if len(differs) > 0 {
		t.Errorf("%s\n%s", strings.Join(differs, "\n"), tail(r.said))
	}
}

// differences are those between what the index says and what came.
func (e *entry) differences(r *result) (out []string) {
	if r.run == nil {
		return []string{r.lastWords()}
	}
	differ := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if e.state != "" && r.run.State != e.state {
		differ("state %s, not %s: %s", r.run.State, e.state, r.run.Error)
	}
	if want := exitCode(r.run.State); r.code != want {
		differ("exit %d, not %d", r.code, want)
	}
	if want, err := strconv.Atoi(e.tasks); err == nil && r.run.started() != want {
		differ("%d steps started, not %d", r.run.started(), want)
	}
	for _, name := range slices.Sorted(maps.Keys(e.outputs)) {
		if got := r.run.Outputs.Parameters[name]; !same(e.outputs[name], got) {
			differ("output %s is %s, not %s", name, short(got), short(e.outputs[name]))
		}
	}
	return out
}

// exitCode is what wherry promises for a run's state.
func exitCode(state string) int {
	switch state {
	case "SUCCEEDED":
		return 0
	case "CANCELED":
		return 130
	}
	return 1
}

// left names the containers and volumes that a place's runs left behind. What is to
// stay is none of it: claims, and the workspace of a run that failed.
func left(pl *place) (out []string) {
	ids, err := harness.Left(pl.home)
	switch {
	case err != nil:
		out = append(out, err.Error())
	case len(ids) > 0:
		out = append(out, fmt.Sprintf("%d containers are left", len(ids)))
	}
	names, err := harness.Volumes(pl.home)
	if err != nil {
		return append(out, err.Error())
	}
	for _, name := range names {
		if !strings.Contains(name, "-claim-") && !strings.Contains(name, "-workspace-") {
			out = append(out, fmt.Sprintf("the volume %s is left", name))
		}
	}
	return out
}

// short is a value for people.
func short(x any) string {
	text, _ := json.Marshal(x)
	if len(text) > 120 {
		text = append(text[:117:117], "..."...)
	}
	return string(text)
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// TestRejected: what is no pipeline is refused, and nothing starts.
func TestRejected(t *testing.T) {
	needShared(t)
	n := 0
	for _, e := range index(t) {
		if e.state != "REJECTED" {
			continue
		}
		n++
		t.Run(e.path, func(t *testing.T) {
			t.Parallel()
			pl := newPlace(t, e.file(), project{})
			r := pl.call(t, pl.runArgs(nil)...)
			line := row{section: rejectedSection, file: e.path, expected: "REJECTED", got: fmt.Sprintf("exit %d", r.code), took: r.took, ok: true}
			if r.code == 2 && r.run == nil && strings.HasPrefix(r.said, "wherry: ") {
				line.got = "REJECTED"
			} else {
				line.ok, line.differs = false, []string{"it must be refused with exit 2"}
				t.Errorf("exit %d, not 2\n%s", r.code, r.said)
			}
			table.add(line)
		})
	}
	if n == 0 {
		t.Error("the suite has no file that must be refused")
	}
}
