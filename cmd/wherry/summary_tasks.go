package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/wherry-ml/wherry/dag"
)

// The limits of a summary. The rest is a `wherry get` away.
const (
	fullTable   = 30 // so many tasks are all listed
	maxSlowest  = 5
	maxListed   = 10 // failures, of a run with more tasks than fullTable
	maxOutcomes = 30 // outputs, metrics and artifacts, each
)

// tally counts tasks that run something, by how they ended.
type tally struct{ total, ran, cached, failed, skipped, canceled, open int }

func newTally(executions []*dag.Execution) (t tally) {
	for _, x := range executions {
		if !x.Kind.Runs() {
			continue
		}
		t.total++
		switch {
		case x.Cached:
			t.cached++
		case x.State == dag.Succeeded:
			t.ran++
		case x.State == dag.Failed:
			t.failed++
		case x.State == dag.Skipped:
			t.skipped++
		case x.State == dag.Canceled:
			t.canceled++
		default:
			t.open++
		}
	}
	return t
}

// String says it for people: "9 tasks: 4 ran, 5 cached".
func (t tally) String() string { return t.text(0) }

func (t tally) text(saved time.Duration) string {
	cached := "cached"
	if saved >= time.Second {
		cached += fmt.Sprintf(" (%s saved)", seconds(saved))
	}
	var parts []string
	for _, one := range []struct {
		n    int
		word string
	}{{t.ran, "ran"}, {t.cached, cached}, {t.failed, "failed"}, {t.skipped, "skipped"}, {t.canceled, "canceled"}, {t.open, "not ended"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	return strings.TrimSuffix(count(t.total, "task")+": "+strings.Join(parts, ", "), ": ")
}

// printTasks prints a run's tasks: all of a small one; else its groups with counts,
// and what failed.
func printTasks(out io.Writer, run *dag.Run, executions []*dag.Execution, saved time.Duration) {
	all := treeOrder(executions)
	total := newTally(all)
	fmt.Fprintln(out, total.text(saved))
	if total.total <= fullTable {
		printTable(out, all, nil)
		return
	}
	inside := tallies(all)
	rows := slices.DeleteFunc(slices.Clone(all), func(x *dag.Execution) bool { return strings.Contains(x.Path, "[") })
	if len(rows) > fullTable {
		rows = slices.DeleteFunc(rows, func(x *dag.Execution) bool { return x.Kind.Runs() })
	}
	if len(rows) > 0 {
		printTable(out, rows[:min(len(rows), fullTable)], inside)
	}
	printFailed(out, all)
	fmt.Fprintf(out, "\nwherry get tasks %s lists all %d\n", run.ID, len(all))
}

// tallies counts the tasks inside each group, by its path.
func tallies(all []*dag.Execution) map[string]tally {
	tasks := map[string][]*dag.Execution{}
	parents := map[int64]*dag.Execution{}
	for _, x := range all {
		parents[x.ID] = x
		for g := parents[x.Parent]; g != nil && x.Kind.Runs(); g = parents[g.Parent] {
			tasks[g.Path] = append(tasks[g.Path], x)
		}
	}
	out := map[string]tally{}
	for path, list := range tasks {
		out[path] = newTally(list)
	}
	return out
}

// printTable prints executions, groups with what is inside of them where that is
// not listed. On a terminal each is one line.
func printTable(out io.Writer, rows []*dag.Execution, inside map[string]tally) {
	var table bytes.Buffer
	defer func() {
		fmt.Fprintln(out)
		width := columns(out)
		for line := range strings.Lines(table.String()) {
			if width > 0 {
				line = ansi.Truncate(strings.TrimRight(line, "\n"), width, "…") + "\n"
			}
			_, _ = io.WriteString(out, line)
		}
	}()
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TASK\tSTATE\tTIME\tATTEMPTS\tWHY")
	for _, x := range rows {
		state := string(x.State)
		if x.Cached {
			state += " (cached)"
		}
		why := x.Reason
		if x.Error != "" {
			why, _, _ = strings.Cut(x.Error, "\n") // the lines after it were shown as it failed
		}
		if t, ok := inside[x.Path]; ok {
			why = strings.TrimSuffix(t.String()+"; "+why, "; ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", x.Path, state, span(x.Started, x.Ended), x.Tries(), short(why, 90))
	}
	w.Flush()
}

// columns is how wide a terminal is; 0: it is none.
func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func printFailed(out io.Writer, all []*dag.Execution) {
	failed := slices.DeleteFunc(slices.Clone(all), func(x *dag.Execution) bool { return x.State != dag.Failed || !x.Kind.Runs() })
	if len(failed) == 0 {
		return
	}
	fmt.Fprintln(out, "\nfailed")
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, x := range failed[:min(len(failed), maxListed)] {
		why, _, _ := strings.Cut(x.Error, "\n")
		fmt.Fprintf(w, "  %s\t%s\t%s\n", x.Path, span(x.Started, x.Ended), short(why, 90))
	}
	w.Flush()
	if more := len(failed) - maxListed; more > 0 {
		fmt.Fprintf(out, "  … and %d more\n", more)
	}
}

// printSlowest prints what a run spent its time on. Of a run that was over at once
// nobody asks.
func printSlowest(out io.Writer, run *dag.Run, executions []*dag.Execution) {
	whole := run.Ended.Sub(run.Started)
	ran := slices.DeleteFunc(slices.Clone(executions), func(x *dag.Execution) bool {
		return !x.Kind.Runs() || x.Cached || x.Started.IsZero() || x.Ended.IsZero()
	})
	if run.Ended.IsZero() || whole < time.Second || len(ran) < 3 {
		return
	}
	slices.SortStableFunc(ran, func(a, b *dag.Execution) int {
		return cmp.Compare(b.Ended.Sub(b.Started), a.Ended.Sub(a.Started))
	})
	fmt.Fprintln(out, "\nslowest")
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, x := range ran[:min(len(ran), maxSlowest)] {
		took := x.Ended.Sub(x.Started)
		fmt.Fprintf(w, "%s\t%.0f%%\t  %s\n", seconds(took), min(100, 100*took.Seconds()/whole.Seconds()), x.Path)
	}
	w.Flush()
	if chain := longestChain(run, executions); len(chain) > 1 {
		fmt.Fprintf(out, "  the run was as long as %s\n", strings.Join(chain, " → "))
	}
}

// longestChain returns the tasks that the run's end had to wait for: from the one
// that ended last, back to what that one waited for last, and so on. Groups count as
// one task.
func longestChain(run *dag.Run, executions []*dag.Execution) []string {
	top := map[string]*dag.Execution{}
	var last *dag.Execution
	for _, x := range executions {
		if x.Parent != 0 || x.Started.IsZero() || x.Ended.IsZero() {
			continue
		}
		top[x.Task] = x
		if last == nil || x.Ended.After(last.Ended) {
			last = x
		}
	}
	after := map[string][]string{}
	for _, t := range dag.NewPlan(run).Tasks {
		if !strings.Contains(t.Path, "/") {
			after[t.Path] = t.After
		}
	}
	var chain []string
	for last != nil && len(chain) <= len(top) {
		chain = append(chain, last.Task)
		var before *dag.Execution
		for _, name := range after[last.Task] {
			if x := top[name]; x != nil && (before == nil || x.Ended.After(before.Ended)) {
				before = x
			}
		}
		last = before
	}
	slices.Reverse(chain)
	return chain
}

// capped prints lines up to a number, and says how many there were more and where.
type capped struct {
	out   io.Writer
	title string // before the first
	more  string // where to find the rest
	lines int
}

func (c *capped) printf(format string, args ...any) {
	if c.lines++; c.lines > maxOutcomes {
		return
	}
	if c.lines == 1 {
		fmt.Fprintf(c.out, "\n%s\n", c.title)
	}
	fmt.Fprintf(c.out, format, args...)
}

func (c *capped) close() {
	if more := c.lines - maxOutcomes; more > 0 {
		fmt.Fprintf(c.out, "  … and %d more: %s\n", more, c.more)
	}
}
