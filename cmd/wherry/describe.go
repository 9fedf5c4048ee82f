package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newDescribeCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "describe RUN[/TASK]|EXPERIMENT",
		Short: "Show all about a run, one of its tasks, or an experiment",
		Example: `  wherry describe last
  wherry describe last/train
  wherry describe experiment/last`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.describe(cmd.Context(), args[0])
		},
	}
}

func (g *globals) describe(ctx context.Context, ref string) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(ref, "experiment/"); ok {
		x, err := db.FindExperiment(ctx, name)
		if err != nil {
			return err
		}
		return g.describeExperiment(ctx, x.ID)
	}
	run, executions, task, err := g.findWork(ctx, db, ref)
	if is[*sqlite.NotFoundError](err) {
		if x, e := db.FindExperiment(ctx, ref); e == nil {
			return g.describeExperiment(ctx, x.ID)
		}
	}
	if err != nil {
		return err
	}
	switch {
	case g.structured() && task == nil:
		return g.printDocument(newDocument(run, executions))
	case g.structured():
		return g.printDocument(map[string]any{"task": newDocument(run, []*dag.Execution{task}).Run.Tasks[0], "attempts": attemptItems(task)})
	case task == nil:
		g.describeRun(run, executions)
	default:
		g.describeTask(run, task)
	}
	return nil
}

// findWork finds what RUN or RUN/TASK names; task is nil for a run.
func (g *globals) findWork(ctx context.Context, db *sqlite.DB, ref string) (*dag.Run, []*dag.Execution, *dag.Execution, error) {
	runRef, _, isTask := strings.Cut(ref, "/")
	var taskID int64
	if isTask {
		row, err := db.FindTask(ctx, ref)
		if err != nil {
			return nil, nil, nil, err
		}
		runRef, taskID = row.Run, row.ID
	}
	row, err := db.FindRun(ctx, runRef)
	if err != nil {
		return nil, nil, nil, err
	}
	run, executions, err := db.LoadRun(ctx, row.ID)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, x := range executions {
		if x.ID == taskID {
			return run, executions, x, nil
		}
	}
	if isTask {
		return nil, nil, nil, errors.New("the task was there a moment ago and is gone")
	}
	return run, executions, nil, nil
}

func (g *globals) describeRun(run *dag.Run, executions []*dag.Execution) {
	o, state := g.Out, string(run.State)
	if !run.State.Ended() && !g.driven(run.ID) {
		state += " (interrupted; wherry resume " + run.ID + " goes on with it)"
	}
	fmt.Fprintf(o, "run       %s (%s)\npipeline  %s\nfile      %s\nstate     %s\nbackend   %s\nstarted   %s\nended     %s\n",
		run.Name, run.ID, run.Pipeline.Name, run.Pipeline.File, state, run.Options.Backend, orDash(rfc3339(run.Started)), orDash(rfc3339(run.Ended)))
	if run.Error != "" {
		fmt.Fprintf(o, "error     %s\n", run.Error)
	}
	for _, name := range sortedNames(run.Parameters) {
		fmt.Fprintf(o, "  -p %s=%s\n", name, short(dag.FormatValue(run.Parameters[name]), 120))
	}
	printSummary(o, run, executions, g.savedTime(context.Background(), run, executions))
}

func (g *globals) describeTask(run *dag.Run, x *dag.Execution) {
	o := g.Out
	fmt.Fprintf(o, "task       %s (%s) of run %s\ncomponent  %s\nstate      %s\nwhy        %s\nstarted    %s\nended      %s\n",
		x.Path, x.Kind, run.Name, x.Component, x.State, orDash(x.Reason), orDash(rfc3339(x.Started)), orDash(rfc3339(x.Ended)))
	if x.Error != "" {
		fmt.Fprintf(o, "error      %s\n", x.Error)
	}
	g.describeValues("inputs", x.Inputs)
	g.describeValues("outputs", x.Outputs)
	for _, a := range x.Attempts {
		fmt.Fprintf(o, "attempt %d  %s in %s %s\n", a.Number, a.State, span(a.Started, a.Ended), a.Error)
	}
	if x.Key != "" {
		fmt.Fprintf(o, "cache key  %s\n", x.Key)
		for _, name := range sortedNames(x.KeyParts) {
			fmt.Fprintf(o, "  %s = %s\n", name, short(x.KeyParts[name], 100))
		}
	}
}

func (g *globals) describeValues(title string, v dag.Values) {
	if len(v.Parameters)+len(v.Artifacts) == 0 {
		return
	}
	fmt.Fprintln(g.Out, title)
	for _, name := range sortedNames(v.Parameters) {
		fmt.Fprintf(g.Out, "  %s = %s\n", name, short(dag.FormatValue(v.Parameters[name]), 160))
	}
	for _, name := range sortedNames(v.Artifacts) {
		for _, a := range v.Artifacts[name] {
			fmt.Fprintf(g.Out, "  %s: %s %s\n", name, orDash(a.Type), a.URI)
			for _, k := range sortedNames(a.Metadata) {
				fmt.Fprintf(g.Out, "    %s = %s\n", k, short(dag.FormatValue(a.Metadata[k]), 120))
			}
		}
	}
}

func attemptItems(x *dag.Execution) []any {
	items := []any{}
	for _, a := range x.Attempts {
		items = append(items, map[string]any{
			"number": a.Number, "state": a.State, "cause": a.Cause, "exitCode": a.Code, "error": a.Error, "pod": a.Pod,
			"started": rfc3339(a.Started), "ended": rfc3339(a.Ended),
		})
	}
	return items
}
