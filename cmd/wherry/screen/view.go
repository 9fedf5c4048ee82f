package screen

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// Frame is one picture of a run.
type Frame struct {
	Lines []string // none is wider than was asked for
	Pods  []string // whose last log lines it shows, or would if they were known
}

// The limits of what a tree shows beside its counts.
const (
	maxRunning = 6 // running tasks of one loop
	maxFailed  = 3 // failed tasks of one loop
	maxTailed  = 3 // tasks with the tail of their log
	maxTail    = 4 // lines of log, of all of them together
)

// tailAfter is how long a task runs before its log is looked at: most are over by
// then, and cost nothing.
const tailAfter = time.Second

// The ranks of rows: where there is not room for all, the lower ones stay.
const (
	rankFailed = iota
	rankRunning
	rankTail
	rankMoreTail
	rankDone
	rankWaiting
	rankSkipped
)

// row is one line below the first.
type row struct {
	node  *node
	label string
	depth int
	rank  int
	tail  string // a line of the node's log
	order int
}

// View returns the picture of the run at a moment, for a terminal of so many
// columns and rows. It is pure. One row is left for the cursor.
func (m *Model) View(now time.Time, width, height int) Frame {
	rows := m.rows(m.root, 1, nil)
	rows, pods := m.addTails(rows, now)
	for i := range rows {
		rows[i].order = i
	}
	room := max(height-2, 0) // below the first line, above the cursor
	shown, left := fit(rows, room)
	p := pen{color: m.Color, width: max(width-1, 1)} // the last column would wrap on some terminals
	f := Frame{Lines: []string{p.header(m, now)}, Pods: pods}
	end := p.column(shown)
	for _, r := range shown {
		f.Lines = append(f.Lines, p.row(r, end, now))
	}
	if left.total > 0 && room > 0 {
		f.Lines = append(f.Lines, p.left(left))
	}
	return f
}

// rows lists what there is to show below a group.
func (m *Model) rows(group *node, depth int, out []row) []row {
	for _, n := range group.children {
		at := len(out)
		out = append(out, row{node: n, label: n.label, depth: depth, rank: rank(n)})
		switch open := !n.state.Ended() || n.state == dag.Failed; {
		case !open || n.kind.Runs():
			continue
		case n.kind == dag.KindLoop:
			out = loopRows(n, depth+1, out)
		default:
			out = m.rows(n, depth+1, out)
		}
		for _, r := range out[at+1:] {
			out[at].rank = min(out[at].rank, r.rank) // a group stays as long as what is in it
		}
	}
	return out
}

func rank(n *node) int {
	switch n.state {
	case dag.Failed:
		return rankFailed
	case dag.Running, dag.Canceling:
		return rankRunning
	case dag.Skipped, dag.Canceled:
		return rankSkipped
	case dag.Succeeded:
		return rankDone
	}
	return rankWaiting
}

// loopRows lists the tasks of a loop that run or have failed: a few, however many
// iterations there are.
func loopRows(loop *node, depth int, out []row) []row {
	running, failed := 0, 0
	var visit func(n *node)
	visit = func(n *node) {
		switch {
		case n.kind == dag.KindLoop:
			for _, c := range n.open() {
				visit(c)
			}
			return
		case !n.kind.Runs():
			for _, c := range n.children {
				visit(c)
			}
			return
		case n.state == dag.Running:
			if running++; running > maxRunning {
				return
			}
		case n.state == dag.Failed:
			if failed++; failed > maxFailed {
				return
			}
		default:
			return
		}
		out = append(out, row{node: n, label: n.path[len(loop.path):], depth: depth, rank: rank(n)})
	}
	for _, c := range loop.open() {
		visit(c)
	}
	return out
}

// open lists a loop's iterations that run or have failed, in their order.
func (n *node) open() []*node {
	list := make([]*node, 0, len(n.active))
	for c := range n.active {
		if c.state != dag.Pending {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *node) int {
		return cmp.Or(cmp.Compare(len(a.label), len(b.label)), cmp.Compare(a.label, b.label)) // [9] before [10]
	})
	return list
}

// addTails puts the last log lines below the first tasks that run for a while.
func (m *Model) addTails(rows []row, now time.Time) ([]row, []string) {
	var long []*node
	for _, r := range rows {
		if n := r.node; n.pod != "" && now.Sub(n.started) >= tailAfter {
			long = append(long, n)
		}
	}
	slices.SortStableFunc(long, func(a, b *node) int { // those outside of loops first: they tell more
		return cmp.Compare(strings.Count(a.path, "["), strings.Count(b.path, "["))
	})
	var pods []string
	for _, n := range long[:min(len(long), maxTailed)] {
		pods = append(pods, n.pod)
	}
	if len(pods) == 0 {
		return rows, nil
	}
	each := max(1, maxTail/len(pods))
	out := make([]row, 0, len(rows)+maxTail)
	for _, r := range rows {
		out = append(out, r)
		if r.node.pod == "" || !slices.Contains(pods, r.node.pod) {
			continue
		}
		lines := m.tails[r.node.pod]
		lines = lines[max(0, len(lines)-each):]
		for i, text := range lines {
			t := row{node: r.node, depth: r.depth + 1, rank: rankMoreTail, tail: text}
			if i == len(lines)-1 {
				t.rank = rankTail
			}
			out = append(out, t)
		}
	}
	return out, pods
}

// fit keeps as many rows as there is room for, in their order, and counts what the
// others stand for. If any are left out, one row is kept free for saying so.
func fit(rows []row, room int) ([]row, counts) {
	var left counts
	if len(rows) <= room {
		return rows, left
	}
	best := slices.Clone(rows)
	slices.SortStableFunc(best, func(a, b row) int {
		if a.rank == b.rank && a.rank == rankDone {
			return b.node.ended.Compare(a.node.ended) // the last first
		}
		return cmp.Compare(a.rank, b.rank)
	})
	keep := max(room-1, 0)
	for _, r := range best[keep:] {
		if r.tail != "" {
			continue
		}
		if r.node.kind.Runs() {
			left.add(r.node.state, r.node.cached, 1)
		} else if r.node.state.Ended() && r.node.state != dag.Failed { // what is in it has no rows
			left.total += r.node.leaves.total
			left.done += r.node.leaves.done
			left.skipped += r.node.leaves.ended() - r.node.leaves.done
		}
	}
	best = best[:keep]
	slices.SortFunc(best, func(a, b row) int { return cmp.Compare(a.order, b.order) })
	return best, left
}
