package conformance

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Sections of the table, in their order.
const (
	ownSection      = "shared/kfp/own"
	suiteSection    = "shared/kfp/suite, run"
	givenSection    = "shared/kfp/suite, run with what it needs"
	rejectedSection = "shared/kfp/suite, must be refused"
	restSection     = "shared/kfp/suite, read, checked and planned only"
)

// row is one line of the table.
type row struct {
	section, file  string
	expected, got  string
	took           time.Duration
	ok             bool
	differs, needs []string
	held           string // why the expectation is held to be wrong
}

// results are the rows so far.
type results struct {
	sync.Mutex
	rows []row
}

var table results

func (r *results) add(line row) {
	r.Lock()
	defer r.Unlock()
	r.rows = append(r.rows, line)
}

// print writes the rows, a total for each section, and what differs.
func (r *results) print(w io.Writer) {
	if len(r.rows) == 0 {
		return
	}
	sections := []string{ownSection, suiteSection, givenSection, rejectedSection, restSection}
	slices.SortStableFunc(r.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(slices.Index(sections, a.section), slices.Index(sections, b.section)), cmp.Compare(a.file, b.file))
	})
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var totals []string
	for _, section := range sections {
		n, right, wrong := 0, 0, ""
		for _, line := range r.rows {
			if line.section != section {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(t, "\n%s\nFILE\tEXPECTED\tGOT\tSECONDS\t\n", section)
			}
			switch {
			case line.ok:
				right++
			case line.held != "":
				wrong += " (" + line.file + " is held to be wrong)"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\n", line.file, line.expected, line.got, line.took.Seconds(), line.verdict())
		}
		if n > 0 {
			totals = append(totals, fmt.Sprintf("%s: %d of %d as expected%s", section, right, n, wrong))
		}
	}
	t.Flush()
	fmt.Fprintf(w, "\n%s\n", strings.Join(totals, "\n"))
}

// verdict is what stands at a row's end.
func (line row) verdict() string {
	switch {
	case line.held != "":
		return "HELD WRONG: " + line.held
	case !line.ok:
		return "DIFFERS: " + strings.Join(line.differs, "; ")
	case len(line.needs) > 0:
		return "needs " + strings.Join(line.needs, ", ")
	}
	return ""
}
