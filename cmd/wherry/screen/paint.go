package screen

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// painter keeps some lines at the end of what was written to a terminal and replaces
// them by others. Between two frames the cursor is at the start of the line below
// them, and all modes are as they were.
type painter struct {
	out io.Writer
	// reflows: on a terminal that got narrower, longer lines wrap.
	reflows bool
	widths  []int // of the lines that are there
}

// frame writes text, which stays, where the lines were, and new lines below it. It
// is one write, which terminals that can do so show at once.
func (p *painter) frame(text string, lines []string, width int) error {
	var b strings.Builder
	b.WriteString(ansi.SetModeSynchronizedOutput)
	b.WriteByte('\r')
	if up := p.height(width); up > 0 {
		b.WriteString(ansi.CursorUp(up))
	}
	if text != "" {
		b.WriteString(ansi.EraseScreenBelow)
		b.WriteString(strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\r\n") + "\r\n")
	}
	p.widths = p.widths[:0]
	if len(lines) > 0 {
		b.WriteString(ansi.ResetModeAutoWrap) // a line whose width we misjudge is cut, and takes one row
		for _, l := range lines {
			b.WriteString(l)
			b.WriteString(ansi.EraseLineRight)
			b.WriteString("\r\n")
			p.widths = append(p.widths, ansi.StringWidth(l))
		}
		b.WriteString(ansi.SetModeAutoWrap)
	}
	b.WriteString(ansi.EraseScreenBelow)
	b.WriteString(ansi.ResetModeSynchronizedOutput)
	_, err := io.WriteString(p.out, b.String())
	return err
}

// height is how many rows the lines take now.
func (p *painter) height(width int) int {
	rows := 0
	for _, w := range p.widths {
		rows++
		if p.reflows && width > 0 {
			rows += max(0, w-1) / width
		}
	}
	return rows
}

// forget leaves the lines where they are: what comes next is written below.
func (p *painter) forget() { p.widths = nil }
