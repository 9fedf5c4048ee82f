package screen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// tree is a picture of n lines that are as wide as the terminal lets them be.
func tree(n, width, version int) []string {
	lines := []string{fmt.Sprintf("tree %d", version)}
	for i := range n - 1 {
		lines = append(lines, fmt.Sprintf("%d.%d", version, i)+strings.Repeat("~", max(0, width-9)))
	}
	return lines
}

// What stays is printed once and in order, and of the trees only the last is there,
// however they grow and shrink.
func TestPaint(t *testing.T) {
	term := harness.NewTerminal(40, 10)
	fmt.Fprint(term, "$ wherry run\r\n")
	p := painter{out: term, reflows: true}
	var want strings.Builder
	want.WriteString("$ wherry run\n")
	for i, n := range []int{3, 5, 1, 9, 2} {
		text := fmt.Sprintf("note %d is longer than the terminal is wide, and may wrap\nsecond line\n", i)
		want.WriteString(text)
		if err := p.frame(text, tree(n, 40, i), 40); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := term.Text(), want.String()+strings.Join(tree(2, 40, 4), "\n")+"\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	if err := p.frame("", nil, 40); err != nil {
		t.Fatal(err)
	}
	if got, want := term.Text(), want.String(); got != want {
		t.Errorf("after the end, got:\n%swant:\n%s", got, want)
	}
	wantClean(t, term)
}

// wantClean wants a terminal in the state in which it was given to us.
func wantClean(t *testing.T, term *harness.Terminal) {
	t.Helper()
	if len(term.Unknown) > 0 {
		t.Errorf("sequences that not every terminal knows: %v", term.Unknown)
	}
	if !term.Modes[7] || term.Modes[2026] || term.Modes[1049] {
		t.Errorf("modes are left changed: %v", term.Modes)
	}
	if _, hidden := term.Modes[25]; hidden {
		t.Error("the cursor was hidden: a kill -9 would leave it so")
	}
	if term.Column() != 0 {
		t.Errorf("the cursor is in column %d", term.Column())
	}
}

// A window that changes its size again and again leaves no piece of an old tree
// behind and takes nothing away that was printed, as long as the tree fits in.
func TestPaintResize(t *testing.T) {
	for _, reflows := range []bool{true, false} {
		for seed := range uint64(50) {
			random := rand.New(rand.NewPCG(seed, 1))
			term := harness.NewTerminal(80, 24)
			term.Reflows = reflows
			p := painter{out: term, reflows: reflows}
			printed, width := 0, 80
			for i := range 30 {
				width = 30 + random.IntN(90)
				term.Resize(width, 24)
				text := ""
				if random.IntN(3) == 0 {
					text, printed = fmt.Sprintf("note %d\n", printed), printed+1
				}
				if err := p.frame(text, tree(1+random.IntN(5), width, i), width); err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(term.Text(), "tree "); n != 1 {
					t.Fatalf("seed %d, reflows %v, frame %d: %d trees:\n%s", seed, reflows, i, n, term.Text())
				}
			}
			_ = p.frame("", nil, width)
			var want strings.Builder
			for i := range printed {
				fmt.Fprintf(&want, "note %d\n", i)
			}
			if got := term.Text(); got != want.String() {
				t.Fatalf("seed %d, reflows %v: got:\n%swant:\n%s", seed, reflows, got, want.String())
			}
			wantClean(t, term)
		}
	}
}

// On a terminal that does not wrap anew, no line above the tree is lost.
func TestPaintNoReflow(t *testing.T) {
	term := harness.NewTerminal(80, 24)
	term.Reflows = false
	p := painter{out: term}
	_ = p.frame("a note\n", tree(4, 80, 1), 80)
	term.Resize(20, 24)
	_ = p.frame("", tree(4, 20, 2), 20)
	if got, want := term.Text(), "a note\n"+strings.Join(tree(4, 20, 2), "\n")+"\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
