package screen

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/wherry-ml/wherry/dag"
)

// pen writes lines that are at most width columns wide.
type pen struct {
	color bool
	width int
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

func (p pen) paint(color, text string) string {
	if !p.color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// marks are what a state looks like.
func mark(s dag.State) (sign, color string) {
	switch s {
	case dag.Running:
		return "▸", cyan
	case dag.Canceling:
		return "▸", yellow
	case dag.Succeeded:
		return "✓", green
	case dag.Failed:
		return "✗", red
	case dag.Canceled:
		return "-", yellow
	case dag.Skipped:
		return "-", dim
	}
	return "·", dim
}

// header is the first line: the run and how far it is. What there is no room for is
// left out from the end.
func (p pen) header(m *Model, now time.Time) string {
	sign, color := mark(m.state)
	parts := m.progress(now)
	width := func() int { return ansi.StringWidth(strings.Join(parts, "  ")) }
	name := clean(m.name)
	for len(parts) > 2 && 4+min(ansi.StringWidth(name), p.width/3)+width() > p.width {
		parts = parts[:len(parts)-1]
	}
	name = ansi.Truncate(name, max(1, p.width-4-width()), "…")
	return p.cut(p.paint(color, sign) + " " + p.paint(bold, name) + "  " + strings.Join(parts, "  "))
}

// progress says how far the run is, the more important first.
func (m *Model) progress(now time.Time) []string {
	c := m.root.leaves
	parts := []string{fmt.Sprintf("%d/%d", c.ended(), m.total())}
	switch {
	case m.state.Ended():
		parts = append(parts, fmt.Sprintf("%s in %s", m.state, short(m.ended.Sub(m.started))))
	case !m.started.IsZero():
		parts = append(parts, whole(now.Sub(m.started)))
	}
	if m.state == dag.Canceling {
		parts = append(parts, "canceling")
	}
	for _, one := range []struct {
		n    int
		word string
	}{{c.failed, "failed"}, {c.running, "running"}, {c.cached, "cached"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	return append(parts, "(run "+clean(m.id)+")")
}

// cut makes sure of the width: of a terminal narrower than any line can be.
func (p pen) cut(line string) string { return strings.TrimRight(ansi.Truncate(line, p.width, ""), " ") }

// column is where the labels of all rows have ended.
func (p pen) column(rows []row) int {
	end := 0
	for _, r := range rows {
		if r.tail == "" {
			end = max(end, 2*r.depth+2+ansi.StringWidth(clean(r.label)))
		}
	}
	return min(end, p.width*11/20)
}

// row is one line of the tree.
func (p pen) row(r row, end int, now time.Time) string {
	indent := strings.Repeat(" ", 2*r.depth)
	if r.tail != "" {
		return p.cut(indent + p.paint(dim, "│ "+ansi.Truncate(r.tail, max(0, p.width-len(indent)-2), "…")))
	}
	sign, color := mark(r.node.state)
	label := ansi.Truncate(clean(r.label), max(1, end-len(indent)-2), "…")
	gap := strings.Repeat(" ", max(0, end-len(indent)-2-ansi.StringWidth(label))+2)
	detail := ansi.Truncate(clean(p.detail(r.node, now)), max(0, p.width-end-2), "…")
	return p.cut(indent + p.paint(color, sign) + " " + label + gap + p.paint(detailColor(r.node), detail))
}

func detailColor(n *node) string {
	switch {
	case n.state == dag.Failed && n.kind.Runs():
		return red
	case n.state == dag.Pending, n.state == dag.Skipped, n.cached, n.state == dag.Succeeded:
		return dim
	}
	return ""
}

// detail is what is said beside a label.
func (p pen) detail(n *node, now time.Time) string {
	switch {
	case n.state == dag.Skipped:
		return strings.TrimSuffix("skipped: "+n.why, ": ")
	case n.state == dag.Pending:
		return n.waits
	case n.kind == dag.KindLoop:
		return loopDetail(n)
	case !n.kind.Runs():
		return groupDetail(n)
	}
	switch n.state {
	case dag.Running:
		text := whole(now.Sub(n.started))
		if n.tries > 1 {
			text += fmt.Sprintf("  attempt %d", n.tries)
		}
		return text
	case dag.Failed:
		text, _, _ := strings.Cut(n.why, "\n")
		return text
	case dag.Canceled:
		return "canceled"
	}
	if n.cached {
		return "cached"
	}
	return short(n.ended.Sub(n.started))
}

// loopDetail says of a loop how many iterations have ended, and how long one takes.
func loopDetail(n *node) string {
	parts := []string{fmt.Sprintf("%d/%d ✓", n.turns.done, max(n.items, n.turns.total))}
	for _, one := range []struct {
		n    int
		word string
	}{{n.turns.running, "running"}, {n.turns.failed, "✗"}, {n.turns.skipped, "skipped"}, {n.turns.canceled, "canceled"}, {n.leaves.cached, "cached"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	if n.timings > 0 {
		parts = append(parts, short(n.took/time.Duration(n.timings))+" avg")
	}
	return strings.Join(parts, "  ")
}

// groupDetail says how far a group is.
func groupDetail(n *node) string {
	c := n.leaves
	switch {
	case !n.state.Ended():
		return fmt.Sprintf("%d/%d", c.ended(), c.total)
	case n.allCached():
		return fmt.Sprintf("%s cached", tasks(c.total))
	case n.state == dag.Succeeded:
		return fmt.Sprintf("%s  %s", short(n.ended.Sub(n.started)), tasks(c.total))
	case n.state == dag.Canceled:
		return "canceled"
	}
	return fmt.Sprintf("%d of %s failed", c.failed, tasks(c.total))
}

func tasks(n int) string {
	if n == 1 {
		return "1 task"
	}
	return fmt.Sprintf("%d tasks", n)
}

// left says what there was no room for.
func (p pen) left(c counts) string {
	var parts []string
	for _, one := range []struct {
		n    int
		word string
	}{{c.failed, "failed"}, {c.running, "running"}, {c.done, "done"}, {c.waiting(), "waiting"}, {c.skipped + c.canceled, "skipped"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	return p.cut("  " + p.paint(dim, ansi.Truncate(fmt.Sprintf("… %d more: %s", c.total, strings.Join(parts, ", ")), max(0, p.width-2), "…")))
}

// clean makes text safe for a line of a terminal: no colours, no control
// characters. Of a line that was rewritten (a progress bar) the last state counts.
func clean(text string) string {
	text = strings.TrimRight(text, "\r\n")
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:]
	}
	text = ansi.Strip(strings.ReplaceAll(strings.ToValidUTF8(text, "·"), "\t", " "))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '·'
		}
		return r
	}, text)
}

// short is a duration as people read it.
func short(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", max(0, d.Seconds()))
	}
	return whole(d)
}

// whole is a duration that is still growing: no fractions that would flicker.
func whole(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
