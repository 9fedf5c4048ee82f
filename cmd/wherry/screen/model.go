package screen

import (
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// Model is what is known of a run. It copies what it needs of the driver's
// executions, so that it can be drawn while they change. It is not safe for
// concurrent use.
type Model struct {
	Color bool

	name    string
	id      string
	state   dag.State
	started time.Time
	ended   time.Time
	root    *node
	byID    map[int64]*node
	loops   []*node
	tails   map[string][]string // by pod: its last log lines, clean
}

// NewModel returns the model of a run of which nothing is known yet.
func NewModel(color bool) *Model {
	return &Model{Color: color, root: &node{kind: dag.KindDAG}, byID: map[int64]*node{}, tails: map[string][]string{}}
}

// node is one execution.
type node struct {
	parent   *node
	children []*node        // in the order in which they came to be
	active   map[*node]bool // of a loop: its iterations that run or have failed

	path    string
	label   string // its name below its parent
	kind    dag.Kind
	state   dag.State
	cached  bool
	waits   string // for what, while it is PENDING
	why     string // its error, or why it was skipped
	tries   int
	pod     string // of the attempt that runs
	started time.Time
	ended   time.Time

	leaves  counts        // of the tasks below it that run something
	items   int           // of a loop: how many iterations it will have; 0: not known
	turns   counts        // of a loop: its iterations
	took    time.Duration // of a loop: what the iterations counted in timings took together
	timings int           // of a loop: iterations that succeeded without the cache
	timed   bool          // it is one of its loop's timings
}

// counts says how many there are in each state.
type counts struct {
	total, running, done, cached, failed, skipped, canceled int
}

// ended is how many of them have.
func (c *counts) ended() int { return c.done + c.failed + c.skipped + c.canceled }

// waiting is how many of them have not started.
func (c *counts) waiting() int { return c.total - c.running - c.ended() }

// add counts, or with n = -1 takes back, one that is in this state.
func (c *counts) add(s dag.State, cached bool, n int) {
	if s == "" {
		return
	}
	c.total += n
	switch s {
	case dag.Running, dag.Canceling:
		c.running += n
	case dag.Succeeded:
		c.done += n
		if cached {
			c.cached += n
		}
	case dag.Failed:
		c.failed += n
	case dag.Skipped:
		c.skipped += n
	case dag.Canceled:
		c.canceled += n
	}
}

// SetRun takes over the state of the run.
func (m *Model) SetRun(r *dag.Run) {
	m.name, m.id, m.state, m.started, m.ended = r.Name, r.ID, r.State, r.Started, r.Ended
}

// SetTail takes over the last log lines of a pod.
func (m *Model) SetTail(pod string, lines []string) { m.tails[pod] = lines }

// Observe takes over what a driver tells.
func (m *Model) Observe(e dag.Event) {
	if e.Run != nil {
		m.SetRun(e.Run)
	}
	switch {
	case e.Execution == nil:
	case e.Items > 0:
		m.node(e.Execution).items = e.Items
	case e.Note != "":
		m.node(e.Execution).waits = strings.TrimLeft(strings.TrimPrefix(e.Note, e.Execution.Path), ": ")
	default:
		m.Update(e.Execution)
	}
}

// node finds or makes the node of a stored execution.
func (m *Model) node(x *dag.Execution) *node {
	n := m.byID[x.ID]
	if n != nil {
		return n
	}
	parent := m.byID[x.Parent]
	if parent == nil {
		parent = m.root
	}
	n = &node{parent: parent, path: x.Path, kind: x.Kind, label: strings.TrimPrefix(strings.TrimPrefix(x.Path, parent.path), "/")}
	if x.Kind == dag.KindLoop {
		n.active = map[*node]bool{}
		m.loops = append(m.loops, n)
	}
	parent.children = append(parent.children, n)
	m.byID[x.ID] = n
	return n
}

// Update takes over an execution and counts it in all groups around it.
func (m *Model) Update(x *dag.Execution) {
	n := m.node(x)
	m.count(n, -1)
	if len(n.pod) > 0 && x.State.Ended() {
		delete(m.tails, n.pod)
	}
	n.state, n.cached, n.tries, n.started, n.ended = x.State, x.Cached, x.Tries(), x.Started, x.Ended
	n.pod, n.why = "", x.Error
	if x.State == dag.Skipped && x.Error == "" {
		n.why = x.Reason
	}
	if k := len(x.Attempts); k > 0 && x.State == dag.Running {
		n.pod = x.Attempts[k-1].Pod
	}
	if x.State != dag.Pending {
		n.waits = ""
	}
	m.count(n, 1)
}

// count adds a node to the counts around it, or takes it away again with by = -1.
func (m *Model) count(n *node, by int) {
	if n.kind.Runs() {
		for g := n.parent; g != nil; g = g.parent {
			g.leaves.add(n.state, n.cached, by)
		}
	}
	loop := n.parent
	if loop.kind != dag.KindLoop {
		return
	}
	loop.turns.add(n.state, n.cached, by)
	if by > 0 {
		n.timed = n.state == dag.Succeeded && !n.allCached()
	}
	if n.timed {
		loop.timings += by
		loop.took += time.Duration(by) * n.ended.Sub(n.started)
	}
	if open := !n.state.Ended() || n.state == dag.Failed; open && by > 0 {
		loop.active[n] = true
	} else {
		delete(loop.active, n)
	}
}

// total is how many tasks there will be, as far as that is known: the iterations
// that don't exist yet are taken to be like those that do.
func (m *Model) total() int {
	total := m.root.leaves.total
	for _, l := range m.loops {
		if more := l.items - l.turns.total; more > 0 && l.turns.total > 0 && !l.state.Ended() {
			total += more * l.leaves.total / l.turns.total
		}
	}
	return total
}

// allCached reports whether nothing of it had to run.
func (n *node) allCached() bool {
	return n.cached || n.leaves.total > 0 && n.leaves.cached == n.leaves.total
}
