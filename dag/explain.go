package dag

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// PastKey is what the cache key of an earlier execution was made of.
type PastKey struct {
	Run       string
	Component string
	Parts     map[string]string
	Sources   []SourceRead // nil: not known
}

// Difference is one thing that differs between two executions of a task.
type Difference struct {
	What   string `json:"what"` // "parameter lr", "/app/train.py line 3"
	Before string `json:"before"`
	After  string `json:"after"`
	From   string `json:"from,omitempty"`   // task that an artifact or value comes from
	Unread bool   `json:"unread,omitempty"` // a file that the execution has not read
}

// Snapshots is what is asked about mounted sources.
type Snapshots interface {
	Path(digest string) (string, error)
	Files(ctx context.Context, digest string) (map[string]string, error)
	LiveChanges(ctx context.Context, before, now string) ([]LiveChange, error)
}

// Explain returns what differs between an execution and an earlier one of the same
// task: parameters, artifacts with the task that they come from, images, code line
// by line, files of mounted sources. before is the earlier one's run, for its code;
// nil: not known.
func Explain(ctx context.Context, run *Run, x *Execution, past *PastKey, before *Run, store Snapshots) []Difference {
	var changes []Difference
	names := differing(past.Parts, x.KeyParts)
	slices.SortFunc(names, byTelling)
	for _, name := range names {
		old, now := past.Parts[name], x.KeyParts[name]
		if old == now { // empty, and not there
			continue
		}
		target, isMount := strings.CutPrefix(name, mountPart(""))
		if isMount && old != "" && now != "" {
			if files := changesOfSource(ctx, store, target, old, now, past.Sources); len(files) > 0 {
				changes = append(changes, files...)
				continue
			}
		}
		c := Difference{What: name, Before: partWord(old), After: partWord(now), From: origin(run, x, name)}
		if strings.HasPrefix(name, "after ") {
			c.Before, c.After = "as before", "did something else"
		}
		if line, ok := codeChange(run, x, before, past, name); ok {
			c = line
		}
		changes = append(changes, c)
	}
	return changes
}

// byTelling orders parts of a key: the most telling first.
func byTelling(a, b string) int {
	rank := func(name string) int {
		return slices.IndexFunc(telling, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra - rb
	}
	return strings.Compare(a, b)
}

// origin is the task that an input comes from; "" where it comes from none.
func origin(run *Run, x *Execution, part string) string {
	kind, name, _ := strings.Cut(part, " ")
	graph := run.Pipeline.graphOf(x.Path)
	if graph == nil || graph.Tasks[x.Task] == nil {
		return ""
	}
	sources := graph.Tasks[x.Task].Parameters
	if kind == "artifact" {
		sources = graph.Tasks[x.Task].Artifacts
	}
	if kind != "artifact" && kind != "parameter" || sources[name] == nil {
		return ""
	}
	return sources[name].Task
}

// graphOf returns the graph that the task at an execution's path is in.
func (p *Pipeline) graphOf(at string) *Graph {
	c := p.Components[p.Root]
	for name := range strings.SplitSeq(path.Dir(at), "/") {
		if c == nil || c.Graph == nil {
			return nil
		}
		if name == "." {
			break
		}
		name, _, _ = strings.Cut(name, "[")
		t := c.Graph.Tasks[name]
		if t == nil {
			return nil
		}
		c = p.Components[t.Component]
	}
	if c == nil {
		return nil
	}
	return c.Graph
}

// changesOfSource lists the files that differ between two snapshots of a source, or two
// lists of a live one.
func changesOfSource(ctx context.Context, store Snapshots, target, old, now string, reads []SourceRead) []Difference {
	was, live1 := strings.CutPrefix(old, liveWord)
	is, live2 := strings.CutPrefix(now, liveWord)
	if live1 || live2 {
		changes, err := store.LiveChanges(ctx, was, is)
		if err != nil || !live1 || !live2 {
			return nil
		}
		return liveDifferences(target, changes)
	}
	before, err1 := store.Files(ctx, old)
	after, err2 := store.Files(ctx, now)
	if err1 != nil || err2 != nil {
		return nil
	}
	opened := func(string) bool { return true }
	for _, r := range reads {
		if r.Target == target {
			opened = r.opened()
		}
	}
	var changes []Difference
	for _, name := range differing(before, after) {
		c := Difference{What: filepath.Join(target, name)}
		switch {
		case before[name] == "":
			c.Before, c.After = "(none)", "new"
		case after[name] == "":
			c.Before, c.After = "there", "(none)"
		default:
			c.Unread = !opened(name)
			line, a, b := differingLine(store, old, now, name)
			if line > 0 {
				c.What += fmt.Sprintf(" line %d", line)
			}
			c.Before, c.After = orElse(a, before[name]), orElse(b, after[name])
		}
		changes = append(changes, c)
	}
	return changes
}

// codeChange shows the line of a command or its arguments that changed: of an SDK's
// component that is its source.
func codeChange(run *Run, x *Execution, before *Run, past *PastKey, part string) (Difference, bool) {
	which := part[strings.LastIndexByte(part, ' ')+1:]
	if which != "command" && which != "args" || before == nil {
		return Difference{}, false
	}
	old, now := containersOf(before, past.Component), containersOf(run, x.Component)
	if len(old) != 1 || len(now) != 1 {
		return Difference{}, false
	}
	a, b := plain(old[0].Command), plain(now[0].Command)
	if which == "args" {
		a, b = plain(old[0].Args), plain(now[0].Args)
	}
	for i := range max(len(a), len(b)) {
		if x, y := lineAt(a, i), lineAt(b, i); x != y {
			n, from, to := firstDifference(x, y)
			what := which
			if strings.Contains(x+y, "\n") {
				what = fmt.Sprintf("code line %d", n)
			}
			return Difference{What: what, Before: from, After: to}, true
		}
	}
	return Difference{}, false
}
