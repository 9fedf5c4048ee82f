package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
)

func newDiffCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "diff RUN RUN",
		Short: "Show what differs between two runs",
		Long: `Diff shows only what differs between two runs: the pipeline, parameters, options, mounted
sources line by line, and of each task its state, code, image, inputs, outputs and metrics.
Durations count from half a second and a tenth on. Exit code 0, whatever differs.`,
		Example: `  wherry diff baseline last
  wherry diff 3xk 9dm -o json | jq '.tasks[].metrics'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.diff(cmd.Context(), args[0], args[1])
		},
	}
}

// diffDocument is what `-o json` prints.
type diffDocument struct {
	*dag.Diff
	Sources []dag.SourceChange `json:"sources"` // files of mounts that both have
}

func (g *globals) diff(ctx context.Context, refA, refB string) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	for _, ref := range []string{refA, refB} {
		if strings.Contains(ref, "/") {
			return &usageError{msg: fmt.Sprintf("%q names a task; diff compares runs", ref), mend: "wherry diff RUN RUN shows each task that differs"}
		}
	}
	a, inA, _, err := g.findWork(ctx, db, refA)
	if err != nil {
		return err
	}
	b, inB, _, err := g.findWork(ctx, db, refB)
	if err != nil {
		return err
	}
	doc := diffDocument{Diff: dag.Compare(a, b, treeOrder(inA), treeOrder(inB)), Sources: []dag.SourceChange{}}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	for _, m := range a.Options.Mounts {
		for _, n := range b.Options.Mounts {
			if m.Target == n.Target && m.Digest != n.Digest && m.Digest != "" && n.Digest != "" {
				doc.Sources = append(doc.Sources, dag.CompareMounts(ctx, artifacts{store}, m, n)...)
			}
		}
	}
	if g.structured() {
		return g.printDocument(doc)
	}
	printDiff(g.Out, doc)
	return nil
}

func printDiff(o io.Writer, d diffDocument) {
	w := tabwriter.NewWriter(o, 0, 4, 2, ' ', 0)
	for i, r := range []dag.DiffRun{d.A, d.B} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", "AB"[i:i+1], r.Name, r.ID, r.State, inSeconds(r.Duration))
	}
	w.Flush()
	if d.Same {
		fmt.Fprintln(o, "\nnothing differs")
		return
	}
	printChanges(o, "pipeline", "", d.Pipeline)
	printChanges(o, "parameters", "", d.Parameters)
	printChanges(o, "options", "", d.Options)
	for _, s := range d.Sources {
		fmt.Fprintf(o, "\n%s %s\n", s.File, s.Change)
		printLines(o, "  ", s.Diff)
	}
	if len(d.Tasks) == 0 {
		return
	}
	fmt.Fprintln(o)
	fmt.Fprintln(w, "TASK\tA\tTIME\tB\tTIME\tWHY (B)")
	for _, t := range d.Tasks {
		stateA, timeA, _ := taskWords(t.A)
		stateB, timeB, why := taskWords(t.B)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Path, stateA, timeA, stateB, timeB, short(why, 70))
	}
	w.Flush()
	for _, t := range d.Tasks {
		printTaskDiff(o, t)
	}
}

func inSeconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return seconds(time.Duration(s * float64(time.Second)))
}

// taskWords are what the table of tasks says of one side.
func taskWords(t *dag.DiffTask) (state, took, why string) {
	if t == nil {
		return "-", "-", "the run has no such task"
	}
	state, why = string(t.State), t.Reason
	if t.Cached {
		state += " (cached)"
	}
	if t.Error != "" {
		why, _, _ = strings.Cut(t.Error, "\n")
	}
	return state, inSeconds(t.Duration), why
}

func printTaskDiff(o io.Writer, t dag.TaskDiff) {
	if len(t.Code)+len(t.Key)+len(t.Inputs)+len(t.Outputs)+len(t.Metrics) == 0 {
		return
	}
	fmt.Fprintf(o, "\n%s\n", t.Path)
	for _, c := range t.Code {
		fmt.Fprintf(o, "  %s\n", c.Name)
		printLines(o, "    ", c.Diff)
	}
	printChanges(o, "", "", t.Key)
	printChanges(o, "", "in ", t.Inputs)
	printChanges(o, "", "out ", t.Outputs)
	w := tabwriter.NewWriter(o, 0, 4, 2, ' ', 0)
	for _, m := range t.Metrics {
		delta := ""
		if m.Delta != nil {
			delta = fmt.Sprintf("(%+.6g)", *m.Delta)
		}
		fmt.Fprintf(w, "  metric %s\t%s\t->\t%s\t%s\n", m.Name, changeWord(m.A), changeWord(m.B), delta)
	}
	w.Flush()
}

// printChanges prints a table of changes under a title; nothing where there are none.
func printChanges(o io.Writer, title, prefix string, list []dag.Change) {
	if len(list) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(o, "\n%s\n", title)
	}
	w := tabwriter.NewWriter(o, 0, 4, 2, ' ', 0)
	for _, c := range list {
		fmt.Fprintf(w, "  %s%s\t%s\t->\t%s\n", prefix, c.Name, changeWord(c.A), changeWord(c.B))
	}
	w.Flush()
}

func changeWord(x any) string {
	if x == nil {
		return "(none)"
	}
	text := dag.FormatValue(x)
	if hex, ok := strings.CutPrefix(text, "sha256:"); ok && len(hex) >= 12 && !strings.Contains(text, " ") {
		return "sha256:" + hex[:12]
	}
	return short(text, 60)
}

// printLines prints the lines of a diff, without control characters.
func printLines(o io.Writer, indent, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(o, "%s%s\n", indent, printable([]byte(strings.TrimSuffix(line, "\n"))))
	}
}
