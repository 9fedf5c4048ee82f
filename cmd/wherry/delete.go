package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newDeleteCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "delete run|experiment REF…",
		Short: "Forget runs that have ended, or experiments with their trials",
		Long: `Delete takes runs that have ended from the record, with their folders and logs; of
an experiment all: its trials, what they have measured, and their runs. The
artifacts go with the next wherry gc, unless another run has them.`,
		Example: `  wherry delete run last
  wherry delete experiment sweep`,
		Args:      cobra.MinimumNArgs(2),
		ValidArgs: []string{"run", "experiment"},
		RunE:      func(cmd *cobra.Command, args []string) error { return g.delete(cmd.Context(), args[0], args[1:]) },
	}
}

func (g *globals) delete(ctx context.Context, kind string, refs []string) error {
	kind = strings.TrimSuffix(kind, "s")
	if kind != "run" && kind != "experiment" {
		return &usageError{msg: fmt.Sprintf("a %q can't be deleted", kind), mend: "wherry delete run RUN or wherry delete experiment EXPERIMENT"}
	}
	unlock, err := g.lockGC()
	if err != nil {
		return err
	}
	defer unlock()
	c, err := g.newGarbage(ctx, noLimits)
	if err != nil {
		return err
	}
	p := &gcPlan{}
	for _, ref := range refs {
		if kind == "experiment" {
			if err := c.deleteExperiment(ctx, p, ref); err != nil {
				return err
			}
			continue
		}
		r, err := c.db.FindRun(ctx, ref)
		if err != nil {
			return err
		}
		if err := c.deleteRun(p, r); err != nil {
			return err
		}
	}
	if err := c.planDelete(ctx, p); err != nil {
		return err
	}
	if err := c.remove(ctx, p); err != nil {
		return err
	}
	for _, i := range p.items {
		if (i.Kind == "run" || i.Kind == "experiment") && !i.gone {
			return &workError{state: dag.Failed, msg: i.Kind + " " + i.Name + " is in use", mend: "wherry get " + i.Kind + "s shows what has not ended"}
		}
	}
	return g.printGC(p, false)
}

// youSaid is why something goes that a person named.
const youSaid = "you said so"

func (c *garbage) deleteRun(p *gcPlan, r *sqlite.RunRow) error {
	if !r.State.Ended() {
		e := &sqlite.NotEndedError{Run: r.ID}
		return &usageError{msg: e.Error(), mend: e.Hint()}
	}
	p.forget = append(p.forget, r.ID)
	p.add(gcItem{Kind: "run", Name: r.ID + " " + r.Name, Bytes: -1, Why: youSaid, remove: c.forgetter(r.ID)})
	return nil
}

// deleteExperiment adds an experiment that nobody drives, after the runs of its trials.
func (c *garbage) deleteExperiment(ctx context.Context, p *gcPlan, ref string) error {
	e, err := c.db.FindExperiment(ctx, ref)
	if err != nil {
		return err
	}
	if c.g.driven(e.ID) {
		return &usageError{msg: fmt.Sprintf("experiment %s is at work", e.Name), mend: "wait for its end, or press Ctrl-C in its terminal"}
	}
	for _, r := range c.runs {
		if r.ID == e.Run() && !r.State.Ended() {
			return &usageError{msg: fmt.Sprintf("experiment %s is a step of run %s, which has not ended", e.Name, r.ID),
				mend: (&sqlite.NotEndedError{Run: r.ID}).Hint()}
		}
	}
	runs, err := c.db.ListRuns(ctx, sqlite.RunFilter{Trials: e.ID})
	if err != nil {
		return err
	}
	for i := range runs {
		if !runs[i].State.Ended() {
			return &usageError{msg: fmt.Sprintf("experiment %s: run %s of trial %s has not ended", e.Name, runs[i].ID, runs[i].Name),
				mend: fmt.Sprintf("wherry resume %s goes on with it, wherry cancel %s ends this run", e.ID, runs[i].ID)}
		}
		if err := c.deleteRun(p, &runs[i]); err != nil {
			return err
		}
	}
	p.drop = append(p.drop, e.ID)
	p.add(gcItem{Kind: "experiment", Name: e.ID + " " + e.Name, Bytes: -1, Why: youSaid, remove: c.dropper(e.ID, false)})
	return nil
}

// planDelete adds the folders of what is to be forgotten, and nothing else.
func (c *garbage) planDelete(ctx context.Context, p *gcPlan) error {
	c.stay, c.dropped = map[string]*runFacts{}, map[string]bool{}
	for i := range c.runs {
		c.stay[c.runs[i].ID] = &c.runs[i]
	}
	for _, id := range p.forget {
		delete(c.stay, id)
	}
	for _, id := range p.drop {
		c.dropped[id] = true
	}
	_, paths, err := c.db.References(ctx, p.gone())
	if err != nil {
		return err
	}
	c.paths = sortedNames(paths)
	all := &gcPlan{}
	if err := c.planFolders(ctx, all); err != nil {
		return err
	}
	for _, i := range all.items {
		for _, id := range p.gone() {
			if i.Name == "runs/"+id || i.Name == "logs/"+id {
				p.items = append(p.items, i)
			}
		}
	}
	return nil
}
