package dag

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// taskPath is a task path in its parts: "for-loop-1[2]/train".
type taskPath []pathStep

// pathStep is one task of a path. index is that of an iteration; allIterations
// where none is named.
type pathStep struct {
	name  string
	index int
}

const allIterations = -1

// splitPath reads a task path. "[*]", as plans write it, is every iteration.
func splitPath(path string) taskPath {
	var out taskPath
	for part := range strings.SplitSeq(path, "/") {
		s := pathStep{name: part, index: allIterations}
		if name, rest, ok := strings.Cut(part, "["); ok && strings.HasSuffix(rest, "]") {
			i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
			switch {
			case err == nil && i >= 0:
				s = pathStep{name, i}
			case rest == "*]":
				s.name = name
			}
		}
		out = append(out, s)
	}
	return out
}

// String is the path as people write it.
func (p taskPath) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		if parts[i] = s.name; s.index != allIterations {
			parts[i] += fmt.Sprintf("[%d]", s.index)
		}
	}
	return strings.Join(parts, "/")
}

// holds reports whether path is p, or lies in it. Where p names no iteration it
// means all of them; the loop as a whole does not lie in one of its iterations.
func (p taskPath) holds(path taskPath) bool {
	if len(path) < len(p) {
		return false
	}
	for i, s := range p {
		if s.name != path[i].name || s.index != allIterations && s.index != path[i].index {
			return false
		}
	}
	return true
}

// liesIn reports whether p lies in group, a graph, loop or iteration.
func (p taskPath) liesIn(group taskPath) bool {
	if len(group) > len(p) {
		return false
	}
	for i, s := range group {
		if s.name != p[i].name || s.index != allIterations && p[i].index != allIterations && s.index != p[i].index {
			return false
		}
	}
	last := len(group) - 1
	return len(group) < len(p) || p[last].index != allIterations && group[last].index == allIterations
}

// TaskHolds reports whether the task named by path is the other, or holds it. Where
// path names no iteration of a loop it means all of them.
func TaskHolds(path, other string) bool { return splitPath(path).holds(splitPath(other)) }

// TaskPathError says that a path names no task of the pipeline, or several.
type TaskPathError struct {
	Path, Msg, Mend string
}

func (e *TaskPathError) Error() string { return fmt.Sprintf("task %q %s", e.Path, e.Msg) }

// Hint says what to do next.
func (e *TaskPathError) Hint() string { return e.Mend }

// FindTask returns the whole path of the task that text names: a path, or the end
// of one that no other has. A loop's iteration may be named ("for-loop-1[2]/train");
// else all of them are meant. Else it is a *TaskPathError.
func (p *Pipeline) FindTask(text string) (string, error) {
	named := splitPath(text)
	var names, found []string
	for _, t := range NewPlan(&Run{Pipeline: p}).Tasks {
		full := splitPath(t.Path)
		names = append(names, full.String())
		before := len(full) - len(named)
		if before < 0 || !slices.EqualFunc(full[before:], named, func(a, b pathStep) bool { return a.name == b.name }) {
			continue
		}
		path := append(full[:before:before], named...).String()
		if before == 0 {
			return path, p.checkIterations(text, path)
		}
		found = append(found, path)
	}
	switch len(found) {
	case 1:
		return found[0], p.checkIterations(text, found[0])
	case 0:
		e := &TaskPathError{Path: text, Msg: "is not in this pipeline"}
		switch near := source.Nearest(text, slices.Clone(names)); {
		case near != "":
			e.Mend = fmt.Sprintf("did you mean %q?", near)
		default:
			e.Mend = "its tasks: " + strings.Join(names[:min(len(names), 20)], ", ")
		}
		return "", e
	}
	return "", &TaskPathError{Path: text, Msg: "may be one of several", Mend: strings.Join(found[:min(len(found), 8)], ", ")}
}

// checkIterations refuses the iteration of a task that is no loop.
func (p *Pipeline) checkIterations(text, path string) error {
	c := p.Components[p.Root]
	for _, s := range splitPath(path) {
		t := c.Graph.Tasks[s.name]
		if s.index != allIterations && t.Iterate == nil {
			return &TaskPathError{Path: text, Msg: fmt.Sprintf("names an iteration, and %s is no loop", s.name), Mend: "leave out the [" + strconv.Itoa(s.index) + "]"}
		}
		c = p.Components[t.Component]
	}
	return nil
}
