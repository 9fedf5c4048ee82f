package harness

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Terminal is a terminal as far as wherry uses one: what was written to it, as a
// person would see it. It knows what is on the screen and what has scrolled away, and
// refuses (Unknown) every sequence that wherry has no need of.
type Terminal struct {
	Reflows bool // longer lines wrap anew when it gets narrower, as in most

	Redraws int          // how often a part of the screen was erased
	Unknown []string     // sequences that it does not know
	Modes   map[int]bool // private modes that were changed, as they are now

	width, height int
	lines         []termLine // history, then the screen
	top           int        // the first line of the screen
	x, y          int        // of the cursor; y counts from the first line of history
	rest          []byte     // of a character or sequence that is not whole yet
}

// termLine is a row. A wide character is followed by an empty cell.
type termLine struct {
	cells []string
	wraps bool // the next row goes on with it
}

// NewTerminal returns an empty terminal.
func NewTerminal(width, height int) *Terminal {
	return &Terminal{Reflows: true, width: width, height: height, lines: make([]termLine, 1), Modes: map[int]bool{}}
}

// Text is all that was ever written and not erased: what has scrolled away, and the
// screen.
func (t *Terminal) Text() string { return text(t.lines) }

// Screen is what is visible.
func (t *Terminal) Screen() string { return text(t.lines[t.top:]) }

func text(lines []termLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(strings.Join(l.cells, ""), " "))
		if !l.wraps {
			b.WriteByte('\n')
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Column and Row are where the cursor is on the screen, from 0.
func (t *Terminal) Column() int { return t.x }

// Row is the cursor's on the screen, from 0.
func (t *Terminal) Row() int { return t.y - t.top }

// Write shows what a program wrote.
func (t *Terminal) Write(p []byte) (int, error) {
	data := slices.Concat(t.rest, p)
	for len(data) > 0 {
		n := t.one(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	t.rest = slices.Clone(data)
	return len(p), nil
}

// one takes a character or a sequence and returns its length; 0: not all of it is
// there.
func (t *Terminal) one(data []byte) int {
	switch data[0] {
	case '\r':
		t.x = 0
		return 1
	case '\n':
		t.down()
		return 1
	case 0x1b:
		return t.sequence(data)
	}
	if !utf8.FullRune(data) {
		return 0
	}
	cluster, width := ansi.FirstGraphemeCluster(string(data[:min(len(data), 64)]), ansi.GraphemeWidth)
	if width > 0 {
		t.put(cluster, width)
	}
	return len(cluster)
}

func (t *Terminal) sequence(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	if data[1] != '[' {
		t.Unknown = append(t.Unknown, strconv.Quote(string(data[:2])))
		return 2
	}
	end := slices.IndexFunc(data[2:], func(b byte) bool { return b >= 0x40 && b <= 0x7e })
	if end < 0 {
		return 0
	}
	args, private := strings.CutPrefix(string(data[2:2+end]), "?")
	n, err := strconv.Atoi(args)
	switch final := data[2+end]; {
	case private && err == nil && (final == 'h' || final == 'l'):
		t.Modes[n] = final == 'h'
	case final == 'm':
	case final == 'A' && !private:
		t.y = max(t.top, t.y-max(n, 1))
	case final == 'J' && args == "":
		t.Redraws++
		t.cut(t.x)
		t.lines = t.lines[:t.y+1]
	case final == 'K' && args == "":
		t.cut(t.x)
	default:
		t.Unknown = append(t.Unknown, strconv.Quote(string(data[:3+end])))
	}
	return 3 + end
}

// cut erases the cursor's line from a column on.
func (t *Terminal) cut(x int) {
	l := &t.lines[t.y]
	l.cells = l.cells[:min(x, len(l.cells))]
	l.wraps = false
}

func (t *Terminal) down() {
	t.y++
	if t.y == len(t.lines) {
		t.lines = append(t.lines, termLine{})
	}
	t.top = max(t.top, t.y-t.height+1)
}

func (t *Terminal) put(cluster string, width int) {
	if t.x+width > t.width {
		if on, set := t.Modes[7]; set && !on { // no autowrap: the last column is overwritten
			t.x = t.width - width
		} else {
			t.lines[t.y].wraps = true
			t.down()
			t.x = 0
		}
	}
	l := &t.lines[t.y]
	for len(l.cells) < t.x+width {
		l.cells = append(l.cells, " ")
	}
	l.cells[t.x] = cluster
	for i := 1; i < width; i++ {
		l.cells[t.x+i] = ""
	}
	t.x += width
}

// Resize changes its size, as a person who pulls at the window does.
func (t *Terminal) Resize(width, height int) {
	if t.Reflows {
		t.reflow(width)
	} else {
		for i := range t.lines {
			t.lines[i].cells = t.lines[i].cells[:min(width, len(t.lines[i].cells))]
		}
	}
	t.width, t.height = width, height
	t.x = min(t.x, width-1)
	t.top = max(0, t.y-height+1)
}

// reflow wraps all lines anew. The cursor's line is empty: that is where wherry
// leaves it.
func (t *Terminal) reflow(width int) {
	var out []termLine
	var whole []string
	cursor := t.y
	for i, l := range t.lines {
		if i == t.y {
			cursor = len(out)
		}
		whole = append(whole, l.cells...)
		if l.wraps && i < len(t.lines)-1 {
			continue
		}
		for len(whole) > width {
			out = append(out, termLine{cells: whole[:width:width], wraps: true})
			whole = whole[width:]
		}
		out, whole = append(out, termLine{cells: whole}), nil
	}
	t.lines, t.y = out, cursor
}
