package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ownCase is a case of own/expected.json, which explains its fields.
type ownCase struct {
	Pipeline, Case string
	Inputs         map[string]any
	State          string
	Outputs        map[string]any
	Tasks          map[string]ownTask
	MaxConcurrent  map[string]int `json:"max_concurrent"`
	SecondRun      *secondRun     `json:"second_run"`
	Cluster        *cluster
	Action         string
}

type ownTask struct {
	State      any
	Attempts   any // of a step; a group has none
	Iterations *int
	Outputs    map[string]any
	Artifacts  map[string]struct {
		Type     string
		Metadata map[string]any
	}
}

type secondRun struct {
	SameOutputs []string `json:"same_outputs"`
	NewOutputs  []string `json:"new_outputs"`
	ReusedTasks []string `json:"reused_tasks"`
	RunTasks    []string `json:"run_tasks"`
}

func (c *ownCase) name() string { return strings.TrimSuffix(c.Pipeline, ".yaml") + "/" + c.Case }

// ownCases reads own/expected.json.
func ownCases(t *testing.T) []*ownCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared, "kfp", "own", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Cases []*ownCase }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) == 0 {
		t.Fatal("expected.json has no cases")
	}
	return doc.Cases
}

// TestOwn runs every case of the shared data's own pipelines.
func TestOwn(t *testing.T) {
	needShared(t)
	for _, c := range ownCases(t) {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			r, differs := ownResult(t, c)
			line := row{section: ownSection, file: c.name(), expected: c.State, got: "no run", took: r.took, ok: len(differs) == 0, differs: differs}
			if r.run != nil {
				line.got = r.run.State
			}
			table.add(line)
			if len(differs) > 0 {
				t.Errorf("%s\n%s", strings.Join(differs, "\n"), tail(r.said))
			}
		})
	}
}

// ownOnce is the one run of a case.
type ownOnce struct {
	sync.Mutex
	done    bool
	result  *result
	differs []string
}

var owns sync.Map // name of a case: *ownOnce

// ownResult runs a case and compares, once for all tests that look at it.
func ownResult(t *testing.T, c *ownCase) (*result, []string) {
	t.Helper()
	x, _ := owns.LoadOrStore(c.name(), &ownOnce{})
	once := x.(*ownOnce)
	once.Lock()
	defer once.Unlock()
	if !once.done {
		once.done = true // also where it gives up
		once.result, once.differs = runOwn(t, c)
	}
	if once.result == nil {
		t.Fatal("another test gave up the run")
	}
	return once.result, once.differs
}

func runOwn(t *testing.T, c *ownCase) (*result, []string) {
	pl := newPlace(t, filepath.Join(shared, "kfp", "own", c.Pipeline), project{})
	args := pl.runArgs(c.Inputs, c.Cluster.flags(t, pl)...)
	var r *result
	if c.Action == "" {
		r = pl.call(t, args...)
	} else {
		r = pl.cancelWhen(t, "hang", "hanging", args...)
	}
	if r.run == nil {
		return r, []string{r.lastWords()}
	}
	differs := append(c.differences(r), left(pl)...)
	if c.SecondRun != nil {
		again := pl.call(t, args...)
		differs = append(differs, c.SecondRun.differences(r.run, again)...)
	}
	return r, differs
}

// differences are those between what is expected and what came.
func (c *ownCase) differences(r *result) (out []string) {
	differ := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.run.State != c.State {
		differ("state %s, not %s: %s", r.run.State, c.State, r.run.Error)
	}
	if want := exitCode(r.run.State); r.code != want {
		differ("exit %d, not %d", r.code, want)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Outputs)) {
		if got := r.run.Outputs.Parameters[name]; !same(c.Outputs[name], got) {
			differ("output %s is %s, not %s", name, short(got), short(c.Outputs[name]))
		}
	}
	for name := range r.run.Outputs.Parameters {
		if _, ok := c.Outputs[name]; !ok && c.State == "SUCCEEDED" {
			differ("an output %s", name)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(c.Tasks)) {
		out = append(out, c.Tasks[path].differences(path, r.run)...)
	}
	for i := range r.run.Tasks { // and no others, but for what is below a group that was skipped
		task := &r.run.Tasks[i]
		if _, ok := c.Tasks[task.Path]; !ok && task.State != "SKIPPED" {
			differ("a task %s (%s)", task.Path, task.State)
		}
	}
	return append(out, c.tooMany(r.run)...)
}

func (w ownTask) differences(path string, r *run) (out []string) {
	differ := func(format string, args ...any) { out = append(out, path+": "+fmt.Sprintf(format, args...)) }
	got := r.task(path)
	if got == nil {
		if parent := r.task(parentOf(path)); w.State != "SKIPPED" || parent == nil || parent.State != "SKIPPED" {
			differ("not there")
		}
		return out
	}
	if !same(w.State, got.State) {
		differ("%s, not %s: %s", got.State, short(w.State), got.Error)
		return out
	}
	if w.Attempts != nil && !got.Cached && !same(w.Attempts, float64(got.Attempts)) {
		differ("%d attempts, not %s", got.Attempts, short(w.Attempts))
	}
	if w.Iterations != nil && len(r.iterations(path)) != *w.Iterations {
		differ("%d iterations, not %d", len(r.iterations(path)), *w.Iterations)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Outputs)) {
		if x := got.Outputs.Parameters[name]; !same(w.Outputs[name], x) {
			differ("output %s is %s, not %s", name, short(x), short(w.Outputs[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Artifacts)) {
		want, list := w.Artifacts[name], got.Outputs.Artifacts[name]
		switch {
		case len(list) == 0:
			differ("no artifact %s", name)
		case want.Type != list[0].Type:
			differ("artifact %s is a %s, not a %s", name, list[0].Type, want.Type)
		case !holds(want.Metadata, list[0].Metadata):
			differ("metadata of %s is %s, not %s", name, short(list[0].Metadata), short(want.Metadata))
		}
	}
	return out
}

// parentOf is the path of the group that a task is in; "" at the top.
func parentOf(path string) string {
	if i := strings.LastIndexAny(path, "/["); i >= 0 {
		return path[:i]
	}
	return ""
}

// tooMany names loops of which more iterations ran at once than may. expected.json
// names the loop by its item, not by its task: see docs/CONFORMANCE.md.
func (c *ownCase) tooMany(r *run) (out []string) {
	for _, limit := range c.MaxConcurrent {
		for _, loop := range r.Tasks {
			if loop.Kind != "loop" {
				continue
			}
			if n := mostAtOnce(r.iterations(loop.Path)); n > limit || n == 0 {
				out = append(out, fmt.Sprintf("%s: %d iterations at once, not 1 to %d", loop.Path, n, limit))
			}
		}
	}
	return out
}

// differences compares a second run of the same with the first.
func (s *secondRun) differences(first *run, r *result) (out []string) {
	if r.run == nil {
		return []string{"second run: " + r.lastWords()}
	}
	differ := func(format string, args ...any) { out = append(out, "second run: "+fmt.Sprintf(format, args...)) }
	for _, name := range s.SameOutputs {
		if !reflect.DeepEqual(first.Outputs.Parameters[name], r.run.Outputs.Parameters[name]) {
			differ("output %s changed", name)
		}
	}
	for _, name := range s.NewOutputs {
		if reflect.DeepEqual(first.Outputs.Parameters[name], r.run.Outputs.Parameters[name]) {
			differ("output %s did not change", name)
		}
	}
	for _, path := range s.ReusedTasks {
		if got := r.run.task(path); got == nil || !got.Cached {
			differ("%s ran again", path)
		}
	}
	for _, path := range s.RunTasks {
		if got := r.run.task(path); got == nil || got.Cached {
			differ("%s was taken from the cache", path)
		}
	}
	return out
}
