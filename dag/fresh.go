package dag

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// steering is what RunOptions say of single tasks (NoCache, From, Only, Base),
// made ready to be asked for each of them. It is derived from the stored run alone,
// so that a driver that takes over decides in the same way.
type steering struct {
	noCache []taskPath
	from    []taskPath
	only    taskPath
	run     string                // the base run
	base    map[string]*Execution // in it, by path; nil: there is no base run
	after   map[afterKey]map[string]bool
}

type afterKey struct {
	graph *Graph
	task  string
}

// newSteering reads what the run's options say of single tasks; nil: nothing.
func newSteering(ctx context.Context, store Store, run *Run) (*steering, error) {
	o := run.Options
	s := readSteering(o)
	if s == nil || o.Base == "" {
		return s, nil
	}
	_, executions, err := store.LoadRun(ctx, o.Base)
	switch {
	case errors.Is(err, ErrNotFound) && s.only == nil: // deleted meanwhile: what is not cached runs
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("take results of run %s: %w", o.Base, err)
	}
	s.base = map[string]*Execution{}
	for _, x := range executions {
		s.base[x.Path] = x
	}
	return s, nil
}

// readSteering is newSteering as far as the options alone say it.
func readSteering(o RunOptions) *steering {
	if len(o.NoCache)+len(o.From) == 0 && o.Only == "" {
		return nil
	}
	s := &steering{run: o.Base, after: map[afterKey]map[string]bool{}}
	for _, path := range o.NoCache {
		s.noCache = append(s.noCache, splitPath(path))
	}
	for _, path := range o.From {
		s.from = append(s.from, splitPath(path))
	}
	if o.Only != "" {
		s.only = splitPath(o.Only)
	}
	return s
}

// anew says why an execution must not be taken from anywhere; "" where it may.
func (s *steering) anew(n *node) string {
	if s == nil {
		return ""
	}
	path := splitPath(n.exec.Path)
	for _, t := range s.noCache {
		if t.holds(path) {
			return fmt.Sprintf("caching is off (--no-cache=%s)", t)
		}
	}
	if s.only != nil && s.only.holds(path) {
		return fmt.Sprintf("runs anew (--only %s)", s.only)
	}
	for _, t := range s.from {
		switch {
		case t.holds(path):
			return fmt.Sprintf("runs anew (--from %s)", t)
		case s.follows(n, t):
			return fmt.Sprintf("depends on %s, which runs anew (--from %s)", t, t)
		}
	}
	return ""
}

// follows reports whether n, or a group that it lies in, depends on t, or on a
// group that t lies in.
func (s *steering) follows(n *node, t taskPath) bool {
	for p := n; p != nil; p = p.parent.owner {
		if p.parent.loop != nil {
			continue // an iteration depends on no other
		}
		var group taskPath
		if p.parent.owner != nil {
			group = splitPath(p.parent.owner.exec.Path)
		}
		if len(group) < len(t) && t.liesIn(group) && s.dependants(p.parent.comp.Graph, t[len(group)].name)[p.task.Name] {
			return true
		}
	}
	return false
}

// planned reports whether a task of a plan is known to run anew; prefix is that of
// the graph's paths.
func (s *steering) planned(g *Graph, prefix, task string) bool {
	if s == nil {
		return false
	}
	path := splitPath(prefix + task)
	for _, t := range s.noCache {
		if t.holds(path) {
			return true
		}
	}
	group := path[:len(path)-1]
	for _, t := range s.from {
		if t.holds(path) || len(group) < len(t) && t.liesIn(group) && s.dependants(g, t[len(group)].name)[task] {
			return true
		}
	}
	return s.only != nil && s.only.holds(path)
}

// dependants returns the tasks of a graph that depend on a task of it, also
// through others.
func (s *steering) dependants(g *Graph, task string) map[string]bool {
	key := afterKey{g, task}
	if known, ok := s.after[key]; ok {
		return known
	}
	out := map[string]bool{}
	for _, t := range topological(g) {
		for _, dep := range t.dependencies() {
			if dep == task || out[dep] {
				out[t.Name] = true
			}
		}
	}
	s.after[key] = out
	return out
}

// confine changes a verdict where only one task is to run: that one and the groups
// around it run whatever has become of the tasks before them, for they did in the
// base run. What depends on it, or is not on record, is skipped.
func (s *steering) confine(n *node, v verdict, why string) (verdict, string) {
	if s == nil || s.only == nil || v == wait {
		return v, why
	}
	path := splitPath(n.exec.Path)
	switch {
	case s.only.holds(path) || s.only.liesIn(path):
		return ready, ""
	case s.follows(n, s.only):
		return skip, fmt.Sprintf("depends on %s, and only that runs (--only)", s.only)
	case s.made(n) == nil:
		return skip, fmt.Sprintf("only %s runs (--only), and run %s has no result of this task", s.only, s.run)
	}
	return ready, ""
}

// confined reports whether n's condition was decided in the base run.
func (s *steering) confined() bool { return s != nil && s.only != nil }

// made is the execution of the base run that n stands for, if it succeeded there;
// else nil.
func (s *steering) made(n *node) *Execution {
	if x := s.base[n.exec.Path]; x != nil && x.State == Succeeded {
		return x
	}
	return nil
}

// recall gives the task that alone runs the status of others as it was in the base
// run: their own results are not repeated here.
func (s *steering) recall(n *node) {
	if !s.confined() || s.base[n.exec.Path] == nil {
		return
	}
	before := s.base[n.exec.Path]
	for name, src := range n.task.Parameters {
		if x, ok := before.Inputs.Parameters[name]; ok && src.Status != "" {
			n.exec.Inputs.Parameters[name] = x
		}
	}
}

// take ends an execution with what it handed on in the base run, where the run's
// options say so and its inputs are the same as then. Its code may have changed:
// that is what the person asked for.
func (d *drive) take(n *node) bool {
	s := d.steering
	if s == nil || s.base == nil || !n.exec.Kind.Runs() || s.anew(n) != "" {
		return false
	}
	x := s.made(n)
	if x == nil || s.only == nil && n.comp.Pod != nil && (render{run: d.run, node: n}).inWorkspace() {
		return false // the workspace is the base run's own
	}
	if s.only == nil && !maps.Equal(inputWords(x.Inputs), inputWords(n.exec.Inputs)) {
		return false
	}
	if gone := d.missing(x.Outputs); gone != "" {
		if s.only == nil {
			return false
		}
		d.end(n, Failed, fmt.Sprintf("output %q of run %s is gone from the artifact store; try: wherry rerun %s --from %s", gone, s.run, s.run, n.exec.Path))
		return true
	}
	n.exec.Cached, n.exec.Outputs = true, x.Outputs
	n.exec.Key, n.exec.KeyParts = x.Key, x.KeyParts // of what made the outputs, so that what follows finds its own
	if n.exec.Source = x.Source; n.exec.Source == 0 {
		n.exec.Source = x.ID
	}
	n.exec.Reason = fmt.Sprintf("taken from run %s (%s)", s.run, s.asked())
	n.exec.Started = time.Now()
	d.end(n, Succeeded, "")
	return true
}

// asked is what the person asked for.
func (s *steering) asked() string {
	if s.only != nil {
		return "--only " + s.only.String()
	}
	var words []string
	for _, t := range s.from {
		words = append(words, "--from "+t.String())
	}
	return strings.Join(words, " ")
}

// inputWords are an execution's inputs as its cache key has them.
func inputWords(v Values) map[string]string {
	parts := map[string]string{}
	inputParts(parts, &node{exec: &Execution{Inputs: v}})
	return parts
}

// UsesWorkspace reports whether an execution of the run works in the run's
// workspace.
func UsesWorkspace(run *Run, x *Execution) bool {
	c := run.Pipeline.Components[x.Component]
	return c != nil && c.Pod != nil && (render{run: run, node: &node{comp: c, exec: x}}).inWorkspace()
}
