package dag

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// GivenError says which secrets and config maps a pipeline needs that were not
// given, or why one can't be read.
type GivenError struct {
	Needs  []GivenNeed
	Unread error
}

// GivenNeed is one secret or config map that a pipeline needs.
type GivenNeed struct {
	GivenID
	Keys []string // that are asked for by name
	All  bool     // all that it has are mounted
	Has  []string // the keys that it has, where it was given
}

func missing(kind VolumeKind, name string, keys ...string) *GivenError {
	return &GivenError{Needs: []GivenNeed{{GivenID: GivenID{kind, name}, Keys: keys}}}
}

func (e *GivenError) Error() string {
	if e.Unread != nil {
		return e.Unread.Error()
	}
	var words []string
	for _, n := range e.Needs {
		words = append(words, n.String())
	}
	return strings.Join(words, "; ")
}

func (n GivenNeed) String() string {
	keys := "key"
	if len(n.Keys) > 1 {
		keys = "keys"
	}
	keys += " " + strings.Join(n.Keys, ", ")
	switch {
	case n.Has != nil:
		return fmt.Sprintf("%s %q has no %s (it has %s)", n.Kind, n.Name, keys, strings.Join(n.Has, ", "))
	case len(n.Keys) == 0:
		return fmt.Sprintf("%s %q was not given", n.Kind, n.Name)
	}
	return fmt.Sprintf("%s %q (%s) was not given", n.Kind, n.Name, keys)
}

// Hint says how to give them.
func (e *GivenError) Hint() string {
	if e.Unread != nil {
		return "wherry run --help says what a secret or config map can be made of"
	}
	var flags []string
	fields := map[string]bool{}
	for _, n := range e.Needs {
		flag, field := "--secret", "secrets"
		if n.Kind == VolumeConfigMap {
			flag, field = "--config-map", "configMaps"
		}
		name := n.Name
		if len(n.Keys) == 1 && !n.All {
			name += "/" + n.Keys[0]
		}
		flags = append(flags, fmt.Sprintf("%s %s=FILE", flag, name))
		fields[field] = true
	}
	return fmt.Sprintf("%s, or %s: in wherry.yaml; wherry run --help says what FILE can be",
		strings.Join(flags, " "), strings.Join(slices.Sorted(maps.Keys(fields)), ": and "))
}

// CheckGiven returns a *GivenError for what a run is sure to need of secrets and
// config maps and was not given, and an error for what can't be read. Names that a
// step computes are looked at when they are known, and so is what only some branch
// needs, see MayNeed.
func CheckGiven(run *Run) error {
	return run.lacks(run.given().sure)
}

// MayNeed returns a *GivenError for what a run needs of secrets and config maps if
// it comes to it, behind a condition or in a loop, and was not given; else nil.
func MayNeed(run *Run) error {
	g := run.given()
	maps.DeleteFunc(g.maybe, func(id GivenID, keys map[string]bool) bool {
		maps.DeleteFunc(keys, func(key string, _ bool) bool { return g.sure[id][key] })
		return len(keys) == 0
	})
	return run.lacks(g.maybe)
}

// lacks returns an error for what of keys the run was not given.
func (run *Run) lacks(keys map[GivenID]map[string]bool) error {
	r := render{run: run}
	var e GivenError
	for _, n := range listNeeds(keys) {
		values, there, err := r.given(n.Kind, n.Name)
		if err != nil {
			return &GivenError{Unread: err}
		}
		if !there {
			e.Needs = append(e.Needs, n)
			continue
		}
		n.Keys = slices.DeleteFunc(n.Keys, func(key string) bool { _, has := values[key]; return has })
		if n.Has = slices.Sorted(maps.Keys(values)); len(n.Keys) > 0 {
			e.Needs = append(e.Needs, n)
		}
	}
	if len(e.Needs) > 0 {
		return &e
	}
	return nil
}

// needs gathers what the tasks of a run need; of each secret and config map the
// keys, "" for all.
type needs struct {
	run         *Run
	sure, maybe map[GivenID]map[string]bool
	steps       int // tasks looked at; graphs of graphs can multiply
}

// GivenID names a secret or config map.
type GivenID struct {
	Kind VolumeKind
	Name string
}

// given gathers the secrets and config maps that are not optional and whose names
// are known before the run.
func (run *Run) given() *needs {
	g := &needs{run: run, sure: map[GivenID]map[string]bool{}, maybe: map[GivenID]map[string]bool{}}
	g.graph(run.Pipeline.Components[run.Pipeline.Root], run.Parameters, true, 0)
	return g
}

// listNeeds are needs in order.
func listNeeds(keys map[GivenID]map[string]bool) []GivenNeed {
	var out []GivenNeed
	for id, set := range keys {
		n := GivenNeed{GivenID: id, All: set[""]}
		for _, key := range slices.Sorted(maps.Keys(set)) {
			if key != "" {
				n.Keys = append(n.Keys, key)
			}
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b GivenNeed) int {
		return strings.Compare(string(a.Kind)+a.Name, string(b.Kind)+b.Name)
	})
	return out
}

// graph looks at the tasks of a graph, of whose inputs known are known; sure says
// that it runs.
func (g *needs) graph(c *Component, known map[string]any, sure bool, depth int) {
	certain := c.Graph.certain()
	for _, name := range sortedKeys(c.Graph.Tasks) {
		t := c.Graph.Tasks[name]
		if g.steps++; g.steps > maxPlanned || depth > 100 {
			return
		}
		target := g.run.Pipeline.Components[t.Component]
		sure := sure && certain[name]
		switch {
		case target.Pod != nil:
			g.pod(target.Pod, known, sure)
		case target.Graph != nil:
			inner := map[string]any{}
			for name, p := range target.Inputs.Parameters {
				if x, ok := static(t.Parameters[name], known); ok && x != nil {
					inner[name] = x
				} else if t.Parameters[name] == nil && p.HasDefault {
					inner[name] = p.Default
				}
			}
			g.graph(target, inner, sure, depth+1)
		}
	}
}

// certain are the tasks that run unless one fails: those without a condition, in no
// loop that may be empty, and behind no task that is not certain itself.
func (g *Graph) certain() map[string]bool {
	known := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if is, ok := known[name]; ok {
			return is
		}
		known[name] = false
		t := g.Tasks[name]
		is := t.When == nil && (t.Iterate == nil || t.Iterate.some())
		on := map[string]bool{}
		for _, e := range t.Needs {
			on[e.Task] = true
			is = is && (e.On == OnEnd || e.On == OnDone || e.On == OnSuccess && visit(e.Task))
		}
		for _, dep := range t.dependencies() {
			is = is && (on[dep] || visit(dep))
		}
		known[name] = is
		return is
	}
	for name := range g.Tasks {
		visit(name)
	}
	return known
}

// some reports whether a loop is sure to have items.
func (i *Iterator) some() bool {
	if i.Items == nil || i.Items.Constant == nil {
		return i.Items != nil && len(i.Items.List) > 0
	}
	list, ok := i.Items.Constant.Value.([]any)
	return ok && len(list) > 0
}

// static is the value of a source that no task makes.
func static(src *Source, known map[string]any) (any, bool) {
	switch {
	case src == nil || src.Select != nil:
		return nil, false
	case src.Constant != nil:
		return src.Constant.Value, true
	case src.Input != "":
		x, ok := known[src.Input]
		return x, ok
	}
	return nil, false
}

func (g *needs) pod(pod *Pod, known map[string]any, sure bool) {
	keys := g.maybe
	if sure {
		keys = g.sure
	}
	add := func(kind VolumeKind, src *Source, key string) {
		x, ok := static(src, known)
		if !ok || x == nil {
			return
		}
		id := GivenID{kind, FormatValue(x)}
		if keys[id] == nil {
			keys[id] = map[string]bool{}
		}
		keys[id][key] = true
	}
	for _, v := range pod.Volumes {
		if !v.Optional && (v.Kind == VolumeSecret || v.Kind == VolumeConfigMap) {
			add(v.Kind, v.From, "")
		}
	}
	for _, container := range pod.Containers {
		for _, e := range container.Env {
			if f := e.From; f != nil && f.Kind != "" && !f.Optional {
				add(f.Kind, f.Name, f.Key)
			}
		}
	}
}
