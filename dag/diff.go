package dag

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Diff is what differs between two runs, A and B. Of what is equal nothing is
// listed; every field is there also where it is empty.
type Diff struct {
	A          DiffRun    `json:"a"`
	B          DiffRun    `json:"b"`
	Same       bool       `json:"same"`     // nothing is listed below
	Pipeline   []Change   `json:"pipeline"` // name, format, file, definition
	Parameters []Change   `json:"parameters"`
	Options    []Change   `json:"options"`
	Tasks      []TaskDiff `json:"tasks"`
}

// DiffRun is one of the runs that were compared.
type DiffRun struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	State    State   `json:"state"`
	Duration float64 `json:"duration"` // seconds; 0 while it has not ended
}

// Change is one thing that differs. A side that does not have it is null.
type Change struct {
	Name string `json:"name"`
	A    any    `json:"a"`
	B    any    `json:"b"`
}

// TaskDiff is a task, by its path, of which something differs.
type TaskDiff struct {
	Path    string         `json:"path"`
	A       *DiffTask      `json:"a"`       // null: only B has this task
	B       *DiffTask      `json:"b"`       // null: only A has it
	Code    []CodeChange   `json:"code"`    // command and arguments, line by line
	Key     []Change       `json:"key"`     // other parts of the cache key: image, env, requirement …, mount …
	Inputs  []Change       `json:"inputs"`  // parameter …, artifact …
	Outputs []Change       `json:"outputs"` // parameter …, artifact …
	Metrics []MetricChange `json:"metrics"`
}

// DiffTask is how a task went in one of the runs.
type DiffTask struct {
	State    State   `json:"state"`
	Cached   bool    `json:"cached"`
	Reason   string  `json:"reason"`
	Error    string  `json:"error"`
	Duration float64 `json:"duration"` // seconds
	Attempts int     `json:"attempts"`
}

// CodeChange is a text that a step runs, as a unified diff of its lines.
type CodeChange struct {
	Name string `json:"name"` // "source", "command", "args"
	Diff string `json:"diff"`
}

// MetricChange is a value that a task logged as a metric. Delta is B less A where
// both are numbers.
type MetricChange struct {
	Name  string   `json:"name"` // "metrics.accuracy"
	A     any      `json:"a"`
	B     any      `json:"b"`
	Delta *float64 `json:"delta"`
}

// Compare returns what differs between two runs. Durations count as different from
// half a second and a tenth on, and not where a task was cached: no two are equal.
// It is pure.
func Compare(a, b *Run, inA, inB []*Execution) *Diff {
	d := &Diff{A: diffRun(a), B: diffRun(b)}
	d.Pipeline = changes(pipelineWords(a.Pipeline), pipelineWords(b.Pipeline))
	d.Parameters = changes(a.Parameters, b.Parameters)
	d.Options = changes(optionWords(a.Options), optionWords(b.Options))
	d.Tasks = []TaskDiff{}
	of := map[string][2]*Execution{}
	var order []string
	for side, list := range [][]*Execution{inA, inB} {
		for _, x := range list {
			pair, known := of[x.Path]
			if !known {
				order = append(order, x.Path)
			}
			pair[side] = x
			of[x.Path] = pair
		}
	}
	for _, path := range order {
		if t, differs := compareTask(a, b, of[path][0], of[path][1]); differs {
			t.Path = path
			d.Tasks = append(d.Tasks, t)
		}
	}
	d.Same = len(d.Pipeline)+len(d.Parameters)+len(d.Options)+len(d.Tasks) == 0 && a.State == b.State
	return d
}

func diffRun(r *Run) DiffRun {
	return DiffRun{ID: r.ID, Name: r.Name, State: r.State, Duration: elapsed(r.Started, r.Ended)}
}

func elapsed(from, to time.Time) float64 {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return to.Sub(from).Seconds()
}

// changes lists what differs between two maps, by name.
func changes[V any](a, b map[string]V) []Change {
	out := []Change{}
	for _, name := range sortedKeys(union(a, b)) {
		x, inA := a[name]
		y, inB := b[name]
		if inA && inB && jsonText(x) == jsonText(y) {
			continue
		}
		c := Change{Name: name}
		if inA {
			c.A = x
		}
		if inB {
			c.B = y
		}
		out = append(out, c)
	}
	return out
}

func pipelineWords(p *Pipeline) map[string]any {
	bare := *p
	bare.File, bare.Notes = "", nil
	text, _ := json.Marshal(bare)
	return map[string]any{"name": p.Name, "format": p.Format, "file": p.File, "definition": digestOf(string(text))}
}

// optionWords are a run's options by name, as a person would set them. Values of
// variables are not among them.
func optionWords(o RunOptions) map[string]any {
	words := map[string]any{
		"backend": o.Backend, "platform": o.Platform, "network": string(o.Network), "cache": string(o.Cache),
		"max parallel": o.MaxParallel, "no layers": o.NoLayers, "trust": o.Trust,
		"no cache of": strings.Join(o.NoCache, " "), "from": strings.Join(o.From, " "), "only": o.Only,
	}
	for _, e := range o.Env {
		words["env "+e.Name] = "set to " + digestOf(e.Value)[:19]
		if e.Secret {
			words["env "+e.Name] = "a secret"
		}
	}
	for _, m := range o.Mounts {
		words["mount "+m.Target] = orElse(m.Digest, m.Source)
	}
	for name, a := range o.Images {
		words["image "+name] = a.Image
		if a.Build != nil {
			words["image "+name] = "built: " + digestOf(jsonText(a.Build))[:19]
		}
	}
	for _, r := range o.Secrets {
		words["secret "+r.Name+" "+r.Key] = r.From
	}
	for _, r := range o.ConfigMaps {
		words["config map "+r.Name+" "+r.Key] = r.From
	}
	for name, x := range words {
		if reflect.ValueOf(x).IsZero() {
			delete(words, name)
		}
	}
	return words
}

// compareTask compares one task of two runs; a side may be nil.
func compareTask(a, b *Run, x, y *Execution) (TaskDiff, bool) {
	t := TaskDiff{A: diffTask(x), B: diffTask(y), Code: []CodeChange{}, Key: []Change{}, Inputs: []Change{}, Outputs: []Change{}, Metrics: []MetricChange{}}
	if x == nil || y == nil {
		return t, true
	}
	differs := x.State != y.State || x.Cached != y.Cached || x.Error != y.Error
	if !x.Kind.Runs() || !y.Kind.Runs() { // what groups are given and hand on, the tasks in them are and do
		return t, x.State != y.State
	}
	t.Code = compareCode(a, b, x, y)
	if x.KeyParts != nil && y.KeyParts != nil {
		t.Key = slices.DeleteFunc(changes(x.KeyParts, y.KeyParts), func(c Change) bool { return shownElsewhere(c.Name, len(t.Code) > 0) })
	}
	t.Inputs = changes(valueWords(x.Inputs), valueWords(y.Inputs))
	t.Outputs = changes(valueWords(x.Outputs), valueWords(y.Outputs))
	t.Metrics = compareMetrics(x, y)
	differs = differs || len(t.Code)+len(t.Key)+len(t.Inputs)+len(t.Outputs)+len(t.Metrics) > 0
	return t, differs || !x.Cached && !y.Cached && tookOther(t.A.Duration, t.B.Duration)
}

func diffTask(x *Execution) *DiffTask {
	if x == nil {
		return nil
	}
	return &DiffTask{State: x.State, Cached: x.Cached, Reason: x.Reason, Error: x.Error, Duration: elapsed(x.Started, x.Ended), Attempts: x.Tries()}
}

// tookOther reports whether two durations, in seconds, differ by more than chance.
func tookOther(a, b float64) bool {
	return math.Abs(a-b) >= 0.5 && math.Abs(a-b) >= 0.1*max(a, b)
}

// shownElsewhere reports whether a part of a cache key is listed as an input, or as
// code.
func shownElsewhere(part string, code bool) bool {
	for _, prefix := range []string{"parameter ", "artifact ", "requirements in all"} {
		if strings.HasPrefix(part, prefix) {
			return true
		}
	}
	return code && (strings.HasSuffix(part, "command") || strings.HasSuffix(part, "args"))
}

// valueWords are parameters and artifacts by name; artifacts by content, or by URI
// where the store has none. Those of metrics are left to compareMetrics.
func valueWords(v Values) map[string]any {
	words := map[string]any{}
	for name, x := range v.Parameters {
		words["parameter "+name] = x
	}
	for name, list := range v.Artifacts {
		var ids []string
		for _, a := range list {
			switch {
			case a.Digest != "":
				ids = append(ids, a.Digest)
			case a.Type != metricsType && !strings.HasPrefix(a.URI, "/"):
				ids = append(ids, a.URI)
			}
		}
		if len(ids) > 0 {
			words["artifact "+name] = strings.Join(ids, " ")
		}
	}
	return words
}

// metricsType is the type of artifacts whose metadata are numbers to compare.
const metricsType = "system.Metrics"

func metricsOf(x *Execution) map[string]any {
	out := map[string]any{}
	for name, list := range x.Outputs.Artifacts {
		for _, a := range list {
			if a.Type != metricsType {
				continue
			}
			for k, v := range a.Metadata {
				out[name+"."+k] = v
			}
		}
	}
	return out
}

func compareMetrics(x, y *Execution) []MetricChange {
	out := []MetricChange{}
	for _, c := range changes(metricsOf(x), metricsOf(y)) {
		m := MetricChange{Name: c.Name, A: c.A, B: c.B}
		p, isP := number(c.A)
		q, isQ := number(c.B)
		if delta := q - p; isP && isQ && !math.IsNaN(delta) && !math.IsInf(delta, 0) {
			m.Delta = &delta
		}
		out = append(out, m)
	}
	return out
}

func number(x any) (float64, bool) {
	switch x := x.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}
