package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// printResult prints how a run ended, for a program or for a person, and returns
// the error that gives the exit code.
func (g *globals) printResult(run *dag.Run, executions []*dag.Execution, p *progress) error {
	if g.structured() {
		if err := g.printDocument(newDocument(run, executions)); err != nil {
			return err
		}
	} else {
		ctx := context.Background() // the run may have been canceled
		printSummary(g.Out, run, executions, g.savedTime(ctx, run, executions))
	}
	switch run.State {
	case dag.Succeeded:
		return nil
	case dag.Canceled:
		return &workError{state: run.State, msg: fmt.Sprintf("run %s was canceled", run.Name), mend: "run it again: what is done comes from the cache"}
	}
	msg, mend, hinted := strings.Cut(run.Error, "; try: ")
	if !hinted {
		mend = failureMend(run, executions)
	}
	if p != nil && !p.quiet { // its progress has shown the rest
		msg, _, _ = strings.Cut(msg, "\n")
	}
	return &workError{state: run.State, msg: fmt.Sprintf("run %s failed: %s", run.Name, msg), mend: mend}
}

func failureMend(run *dag.Run, executions []*dag.Execution) string {
	for _, x := range treeOrder(executions) { // as the error, which names the first one
		if x.State == dag.Failed && x.Kind.Runs() && len(x.Attempts) > 0 {
			return fmt.Sprintf("wherry logs %[1]s/%[2]s; wherry debug %[1]s/%[2]s opens a shell there", run.ID, x.Path)
		}
	}
	return "wherry describe " + run.ID
}

// printSummary prints a run's tasks, what took long, outputs, metrics and artifacts.
// Saved is how long what it took from the cache took when it ran.
func printSummary(out io.Writer, run *dag.Run, executions []*dag.Execution, saved time.Duration) {
	fmt.Fprintf(out, "\n%s  %s  in %s  (run %s)\n", run.Pipeline.Name, run.State, span(run.Started, run.Ended), run.ID)
	printTasks(out, run, executions, saved)
	printSlowest(out, run, executions)
	printFindings(out, run, executions)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	printArtifacts(&capped{out: w, title: "artifacts", more: "wherry get artifacts " + run.ID}, executions)
	w.Flush()
}

// printFindings prints a run's outputs and metrics.
func printFindings(out io.Writer, run *dag.Run, executions []*dag.Execution) {
	c := &capped{out: out, title: "outputs", more: "wherry run -o json"}
	for _, name := range sortedNames(run.Outputs.Parameters) {
		c.printf("  %s = %s\n", name, short(dag.FormatValue(run.Outputs.Parameters[name]), 200))
	}
	c.close()
	tasks := "wherry describe " + run.ID + "/TASK"
	if len(run.Outputs.Parameters) == 0 {
		printTaskOutputs(&capped{out: out, title: "outputs", more: tasks}, executions)
	}
	printMetrics(&capped{out: out, title: "metrics", more: tasks}, executions)
}

// savedTime is for a summary only: without it, it just says less.
func (g *globals) savedTime(ctx context.Context, run *dag.Run, executions []*dag.Execution) time.Duration {
	db, err := g.database(ctx)
	if err != nil || !slices.ContainsFunc(executions, func(x *dag.Execution) bool { return x.Cached }) {
		return 0
	}
	saved, _ := db.SavedTime(ctx, run.ID)
	return saved
}

// printTaskOutputs prints what tasks handed on, of a pipeline without outputs of
// its own.
func printTaskOutputs(out *capped, executions []*dag.Execution) {
	for _, x := range executions {
		if !x.Kind.Runs() {
			continue
		}
		for _, name := range sortedNames(x.Outputs.Parameters) {
			out.printf("  %s/%s = %s\n", x.Path, name, short(dag.FormatValue(x.Outputs.Parameters[name]), 160))
		}
	}
	out.close()
}

// printMetrics prints the numbers that steps logged as metrics.
func printMetrics(out *capped, executions []*dag.Execution) {
	for _, x := range executions {
		for _, name := range sortedNames(x.Outputs.Artifacts) {
			for _, a := range x.Outputs.Artifacts[name] {
				if a.Type != "system.Metrics" || x.Kind != dag.KindContainer {
					continue
				}
				for _, k := range sortedNames(a.Metadata) {
					out.printf("  %s  %s = %s\n", x.Path, k, dag.FormatValue(a.Metadata[k]))
				}
			}
		}
	}
	out.close()
}

func printArtifacts(out *capped, executions []*dag.Execution) {
	for _, x := range executions {
		if !x.Kind.Runs() {
			continue
		}
		for _, name := range sortedNames(x.Outputs.Artifacts) {
			for _, a := range x.Outputs.Artifacts[name] {
				if a.Digest != "" && !x.Inputs.Has(a.ID) {
					out.printf("  %s/%s\t%s\t%s\n", x.Path, name, typeWord(a.Type), a.URI)
				}
			}
		}
	}
	out.close()
}

func typeWord(title string) string {
	return orDash(strings.TrimPrefix(title, "system."))
}

// count is a number with its noun: "1 task", "2 tasks".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// short cuts text to n characters on one line.
func short(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// printPlan prints what a run would do. Nothing was started.
func (g *globals) printPlan(j *job) error {
	plan := dag.NewPlan(j.run)
	if g.structured() {
		return g.printDocument(plan)
	}
	fmt.Fprintf(g.Out, "%s (%s) from %s: %s\n", plan.Pipeline, j.pipeline.Format, filepath.Base(j.pipeline.File), count(len(plan.Tasks), "task"))
	if j.project.File != "" {
		fmt.Fprintf(g.Out, "  with %s\n", j.project.File)
	}
	for _, m := range j.run.Options.Mounts {
		fmt.Fprintf(g.Out, "  -v %s:%s%s\n", m.Source, m.Target, m.Mode())
	}
	for _, e := range j.run.Options.Env {
		fmt.Fprintf(g.Out, "  env %s\n", e.Name)
	}
	for _, name := range sortedNames(plan.Parameters) {
		fmt.Fprintf(g.Out, "  -p %s=%s\n", name, short(dag.FormatValue(plan.Parameters[name]), 120))
	}
	fmt.Fprintln(g.Out)
	w := tabwriter.NewWriter(g.Out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "TASK\tKIND\tIMAGE\tAFTER\tCACHE\tWHEN")
	for _, t := range plan.Tasks {
		image := t.Image
		if a, ok := j.run.Options.Images[image]; ok {
			image += " -> " + a.Image
		}
		cache := "off"
		if t.Cache {
			cache = "on"
		}
		when := short(t.When, 80)
		if t.Items != "" {
			when = strings.TrimSpace("for each of " + t.Items + " " + when)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Path, t.Kind, orDash(image), orDash(strings.Join(t.After, ", ")), cache, orDash(when))
	}
	w.Flush()
	for _, n := range j.pipeline.Notes {
		fmt.Fprintf(g.Out, "\nnote: %s\n", strings.TrimSpace(n))
	}
	fmt.Fprintln(g.Out, "\nnothing was started (--dry-run)")
	return nil
}
