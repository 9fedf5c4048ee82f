package conformance

import (
	"strings"
	"time"
)

// run is what `wherry run -o json` ends with, as far as it counts here.
type run struct {
	ID, State, Error string
	Outputs          values
	Tasks            []task
}

type task struct {
	Path, Kind, State, Error, Reason string
	Started, Ended                   string
	Attempts, ExitCode               int
	Cached                           bool
	Inputs, Outputs                  values
}

type values struct {
	Parameters map[string]any
	Artifacts  map[string][]artifact
}

type artifact struct {
	URI, Type, Digest string
	Metadata          map[string]any
}

// task returns the task at a path, or nil.
func (r *run) task(path string) *task {
	for i := range r.Tasks {
		if r.Tasks[i].Path == path {
			return &r.Tasks[i]
		}
	}
	return nil
}

// started counts what the index calls tasks: containers and importers that started,
// each iteration for itself. One that the cache spared counts: the index was made
// without a cache.
func (r *run) started() int {
	n := 0
	for _, t := range r.Tasks {
		if t.runs() && (t.Attempts > 0 || t.Cached || t.Kind == "importer" && t.State == "SUCCEEDED") {
			n++
		}
	}
	return n
}

// runs reports whether the task is a step and no group of tasks.
func (t *task) runs() bool { return t.Kind == "container" || t.Kind == "importer" }

// iterations are the direct ones of a loop.
func (r *run) iterations(loop string) (out []*task) {
	for i := range r.Tasks {
		rest, ok := strings.CutPrefix(r.Tasks[i].Path, loop+"[")
		if ok && strings.HasSuffix(rest, "]") && !strings.Contains(rest, "/") {
			out = append(out, &r.Tasks[i])
		}
	}
	return out
}

// span is from when to when a task ran, by its own record.
func (t *task) span() (from, to time.Time) {
	from, _ = time.Parse(time.RFC3339Nano, t.Started)
	to, _ = time.Parse(time.RFC3339Nano, t.Ended)
	return from, to
}

// mostAtOnce is how many of the tasks ran at the same time, at most.
func mostAtOnce(tasks []*task) int {
	most := 0
	for _, t := range tasks { // the number is highest where one begins
		from, _ := t.span()
		n := 0
		for _, o := range tasks {
			if f, to := o.span(); !f.After(from) && to.After(from) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
