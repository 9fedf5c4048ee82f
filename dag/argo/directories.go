package argo

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
)

// system are the folders that belong to an image, or to a mount of code.
var system = []string{"app", "bin", "dev", "etc", "home", "opt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var"}

func (r *reader) folderOf(s string) string {
	s = path.Clean(s)
	for _, m := range r.o.Mounted {
		if m = path.Clean(m); s == m || strings.HasPrefix(s, strings.TrimSuffix(m, "/")+"/") {
			return ""
		}
	}
	name, _, inside := strings.Cut(s[1:], "/")
	switch {
	case name == "", slices.Contains(system, name), strings.HasPrefix(name, "lib"):
		return ""
	case !inside && path.Ext(name) != "": // /data.csv: a file beside the folders
		return ""
	case strings.ContainsFunc(name, func(c rune) bool { return c == ':' || c == '\\' || !unicode.IsPrint(c) }):
		return ""
	}
	return "/" + name
}

// graphDirectory is what a dag as a whole does with a directory.
type graphDirectory struct {
	ins  int    // input artifacts: the most that a caller has to hand over
	outs []port // output artifacts: of the tasks that nobody inside follows
}

// port is an output artifact of a task, or an input artifact of the dag around
// (task is empty).
type port struct{ task, name string }

// variant is a container template for the tasks that name the same directories.
type variant struct {
	name string
	dirs []string
	ins  map[string]int // input artifacts of each directory: the most that a task has
}

// maxPorts bounds the artifacts that hand on directories. Dags that call dags
// can make more of them than memory holds.
const maxPorts = 500_000

// findDirectories infers the directories: which tasks name them, and from which
// tasks each receives their content.
func (r *reader) findDirectories() error {
	r.acyclic = true
	for _, t := range r.order {
		if t.DAG != nil && !t.rankCalls() {
			r.acyclic = false // dag.Validate refuses it
		}
	}
	for _, t := range slices.Backward(r.order) { // what is called first
		t.dirs = map[string]*graphDirectory{}
		for _, c := range t.calls {
			if r.acyclic {
				r.nameDirectories(c)
			}
			c.feeds = map[string][]port{}
		}
		if r.acyclic {
			r.ports += t.findOuts(maxPorts - r.ports)
		}
		if r.ports >= maxPorts {
			return r.tooMany(t)
		}
	}
	for _, t := range r.order { // callers first
		for _, c := range t.calls {
			c.of.place(r, c)
		}
		if r.acyclic {
			r.ports += t.findFeeds(maxPorts - r.ports)
		}
		if r.ports >= maxPorts {
			return r.tooMany(t)
		}
	}
	return nil
}

func (r *reader) tooMany(t *tmpl) error {
	return r.errorf(t.Pos, "template %q: too many tasks write one directory side by side, more than %d hand-overs", t.Name.S, maxPorts).
		WithMend("mount the directory with -v")
}

// nameDirectories sets c.dirs.
func (r *reader) nameDirectories(c *call) {
	if c.of.launcher() {
		return
	}
	set := map[string]bool{}
	for d := range c.of.dirs {
		set[d] = true
	}
	for _, f := range c.of.flags {
		if !f.isValue {
			continue
		}
		for _, v := range r.textOf(c, f.value) {
			if d := r.folder(v); d != "" {
				set[d] = true
			}
		}
	}
	c.dirs = keys(set)
}

// rankCalls sets each task's rank: the longest way to it. It returns false where
// tasks wait for each other in a circle.
func (t *tmpl) rankCalls() bool {
	waiting := make(map[*call]int, len(t.calls))
	after := map[*call][]*call{}
	var ready []*call
	for _, c := range t.calls {
		waiting[c] = len(c.waits)
		for _, w := range c.waits {
			after[w] = append(after[w], c)
		}
		if len(c.waits) == 0 {
			ready = append(ready, c)
		}
	}
	done := 0
	for ; len(ready) > 0; done++ {
		c := ready[0]
		ready = ready[1:]
		for _, next := range after[c] {
			next.rank = max(next.rank, c.rank+1)
			if waiting[next]--; waiting[next] == 0 {
				ready = append(ready, next)
			}
		}
	}
	return done == len(t.calls)
}

// inOrder returns the tasks so that each comes after those it waits for.
func (t *tmpl) inOrder() []*call {
	return slices.SortedStableFunc(slices.Values(t.calls), func(a, b *call) int { return a.rank - b.rank })
}

func (c *call) names(dir string) bool { return slices.Contains(c.dirs, dir) }

// outs returns the ports under which c hands on a directory.
func (c *call) outs(dir string) []port {
	if c.of.DAG == nil {
		return []port{{c.Name.S, dir[1:]}}
	}
	var out []port
	for i := range c.of.dirs[dir].outs {
		out = append(out, port{c.Name.S, portName(dir, i)})
	}
	return out
}

// portName is the name of the i-th artifact that holds a directory.
func portName(dir string, i int) string { return fmt.Sprintf("%s-%d", dir[1:], i+1) }

// findOuts sets what a dag hands on: each directory from the tasks that name it
// and that no other task that names it follows. It returns how many artifacts
// these are, and gives up at limit.
func (t *tmpl) findOuts(limit int) int {
	n := 0
	ordered := t.inOrder()
	for _, c := range ordered {
		for _, d := range c.dirs {
			t.dirs[d] = &graphDirectory{}
		}
	}
	for _, d := range keys(t.dirs) {
		followed := map[*call]bool{} // by a task that names d
		for _, c := range slices.Backward(ordered) {
			for _, w := range c.waits {
				followed[w] = followed[w] || followed[c] || c.names(d)
			}
		}
		for _, c := range ordered {
			if c.names(d) && !followed[c] {
				outs := c.outs(d)
				t.dirs[d].outs = append(t.dirs[d].outs, outs...)
				if n += len(outs); n >= limit {
					return n
				}
			}
		}
	}
	return n
}

// findFeeds sets what each task of a dag receives. It returns how many artifacts
// these are, and gives up at limit.
func (t *tmpl) findFeeds(limit int) int {
	n := 0
	ordered := t.inOrder()
	for _, d := range keys(t.dirs) {
		var outer []port // what the dag itself received
		for i := range t.dirs[d].ins {
			outer = append(outer, port{name: portName(d, i)})
		}
		last := map[*call][]*call{} // the tasks naming d that are nearest before, or the task itself
		for _, c := range ordered {
			before := nearest(c, last)
			if !c.names(d) {
				last[c] = before
				continue
			}
			last[c] = []*call{c}
			feeds := outer
			if len(before) > 0 {
				feeds = nil
			}
			for _, w := range before {
				feeds = append(feeds, w.outs(d)...)
			}
			c.feeds[d] = feeds
			c.receives(d, len(feeds))
			if n += len(feeds); n >= limit {
				return n
			}
		}
	}
	return n
}

// receives makes room for n input artifacts that hold a directory.
func (c *call) receives(dir string, n int) {
	if c.of.DAG != nil {
		g := c.of.dirs[dir]
		g.ins = max(g.ins, n)
		return
	}
	c.variant.ins[dir] = max(c.variant.ins[dir], n)
}

// nearest joins what the tasks before c hand on, in the order in which they run:
// later ones win. One that ran before another of them is left out: the other
// had its content already.
func nearest(c *call, last map[*call][]*call) []*call {
	var out []*call
	seen := map[*call]bool{}
	for _, w := range c.waits {
		for _, x := range last[w] {
			if !seen[x] {
				seen[x] = true
				out = append(out, x)
			}
		}
	}
	if len(out) < 2 {
		return out
	}
	slices.SortFunc(out, func(a, b *call) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return a.index - b.index
	})
	above := ancestors(out, out[0].rank)
	return slices.DeleteFunc(out, func(x *call) bool { return above[x] })
}

// ancestors returns the tasks of at least that rank that some of the tasks wait
// for.
func ancestors(tasks []*call, rank int) map[*call]bool {
	above := map[*call]bool{}
	stack := slices.Clone(tasks)
	for len(stack) > 0 {
		c := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, w := range c.waits {
			if !above[w] && w.rank >= rank {
				above[w] = true
				stack = append(stack, w)
			}
		}
	}
	return above
}

// place gives a task of a container template the variant for its directories.
func (t *tmpl) place(r *reader, c *call) {
	if t.Container == nil {
		return
	}
	for _, v := range t.pods {
		if slices.Equal(v.dirs, c.dirs) {
			c.variant = v
			return
		}
	}
	name := t.Name.S
	for i := 2; len(t.pods) > 0 && (r.templates[name] != nil || slices.ContainsFunc(t.pods, func(v *variant) bool { return v.name == name })); i++ {
		name = fmt.Sprintf("%s-%d", t.Name.S, i)
	}
	c.variant = &variant{name: name, dirs: c.dirs, ins: map[string]int{}}
	t.pods = append(t.pods, c.variant)
}
