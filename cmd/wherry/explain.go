package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newExplainCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "explain RUN[/TASK]",
		Short: "Say why tasks ran or were taken from the cache, and what changed",
		Long: `Say of each task of a run why it ran or was taken from the cache, and all that
differs from the time before: parameters, input artifacts and the task that they
come from, images, code, lines of mounted files.`,
		Example: `  wherry explain last
  wherry explain last/train -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.explain(cmd.Context(), args[0])
		},
	}
}

// explained is why one task ran or did not.
type explained struct {
	Path     string           `json:"path"`
	State    dag.State        `json:"state"`
	Cached   bool             `json:"cached"`
	Reason   string           `json:"reason"`
	Compared string           `json:"compared,omitempty"` // run of the execution before
	Changes  []dag.Difference `json:"changes"`
}

func (g *globals) explain(ctx context.Context, ref string) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	run, executions, task, err := g.findWork(ctx, db, ref)
	if err != nil {
		return err
	}
	if task != nil {
		executions = []*dag.Execution{task}
	}
	tasks := []explained{}
	past := &pastRuns{load: db.LoadRun, known: map[string]*dag.Run{}}
	for _, x := range executions {
		if task == nil && !x.Kind.Runs() && x.State != dag.Skipped {
			continue
		}
		e, err := g.explainTask(ctx, db, past, run, x)
		if err != nil {
			return err
		}
		tasks = append(tasks, e)
	}
	if g.structured() {
		return g.printDocument(map[string]any{"run": run.ID, "tasks": tasks})
	}
	for _, e := range tasks {
		g.printExplained(e)
	}
	return nil
}

// pastRuns remembers the runs that tasks are compared with: mostly all with the same one.
type pastRuns struct {
	load  func(context.Context, string) (*dag.Run, []*dag.Execution, error)
	known map[string]*dag.Run
}

// get returns a run; nil: it is gone.
func (p *pastRuns) get(ctx context.Context, id string) (*dag.Run, error) {
	if run, ok := p.known[id]; ok {
		return run, nil
	}
	run, _, err := p.load(ctx, id)
	if err != nil && !errors.Is(err, dag.ErrNotFound) {
		return nil, err
	}
	p.known[id] = run
	return run, nil
}

func (g *globals) explainTask(ctx context.Context, db *sqlite.DB, runs *pastRuns, run *dag.Run, x *dag.Execution) (explained, error) {
	e := explained{Path: x.Path, State: x.State, Cached: x.Cached, Reason: x.Reason, Changes: []dag.Difference{}}
	if len(x.KeyParts) == 0 {
		return e, nil
	}
	past, err := db.KeyBefore(ctx, run.Pipeline.Name, x.Path, x.ID)
	if errors.Is(err, dag.ErrNotFound) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	before, err := runs.get(ctx, past.Run)
	if err != nil {
		return e, err
	}
	store, err := g.artifacts()
	if err != nil {
		return e, err
	}
	e.Compared = past.Run
	e.Changes = append(e.Changes, dag.Explain(ctx, run, x, past, before, artifacts{store})...)
	return e, nil
}

// maxExplained is how many changes of a task are shown to a person: a checkout may have
// changed thousands of files.
const maxExplained = 50

func (g *globals) printExplained(e explained) {
	word := "ran"
	switch {
	case e.Cached:
		word = "cached"
	case e.State == dag.Skipped:
		word = "skipped"
	case e.State == dag.Pending:
		word = "waits"
	case !e.State.Ended():
		word = "runs"
	}
	fmt.Fprintf(g.Out, "%s: %s", e.Path, word)
	if e.Reason != "" {
		fmt.Fprintf(g.Out, ": %s", short(e.Reason, 200))
	}
	fmt.Fprintln(g.Out)
	if len(e.Changes) == 0 {
		return
	}
	fmt.Fprintf(g.Out, "  since run %s:\n", e.Compared)
	for i, c := range e.Changes {
		if i == maxExplained {
			fmt.Fprintf(g.Out, "    and %d more; -o json lists them\n", len(e.Changes)-i)
			break
		}
		from, note := "", ""
		if c.From != "" {
			from = " (from " + c.From + ")"
		}
		if c.Unread {
			note = "  not read by it"
		}
		fmt.Fprintf(g.Out, "    %s%s: %s -> %s%s\n", c.What, from, short(c.Before, 100), short(c.After, 100), note)
	}
}
