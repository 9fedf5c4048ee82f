package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newDeleteCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "delete run RUN…",
		Short: "Forget runs that have ended",
		Long: `Delete takes runs that have ended from the record, with their folders and logs.
Their artifacts go with the next wherry gc, unless another run has them.`,
		Example:   "  wherry delete run last",
		Args:      cobra.MinimumNArgs(2),
		ValidArgs: []string{"run"},
		RunE:      func(cmd *cobra.Command, args []string) error { return g.delete(cmd.Context(), args[0], args[1:]) },
	}
}

func (g *globals) delete(ctx context.Context, kind string, refs []string) error {
	if kind != "run" && kind != "runs" {
		return &usageError{msg: fmt.Sprintf("a %q can't be deleted", kind), mend: "wherry delete run RUN"}
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
		r, err := c.db.FindRun(ctx, ref)
		if err != nil {
			return err
		}
		if !r.State.Ended() {
			e := &sqlite.NotEndedError{Run: r.ID}
			return &usageError{msg: e.Error(), mend: e.Hint()}
		}
		p.forget = append(p.forget, r.ID)
		p.add(gcItem{Kind: "run", Name: r.ID + " " + r.Name, Bytes: -1, Why: "you said so", remove: c.forgetter(r.ID)})
	}
	if err := c.planDelete(ctx, p); err != nil {
		return err
	}
	if err := c.remove(ctx, p); err != nil {
		return err
	}
	for _, i := range p.items {
		if i.Kind == "run" && !i.gone {
			return &workError{state: dag.Failed, msg: "run " + i.Name + " is in use", mend: "wherry get runs shows what has not ended"}
		}
	}
	return g.printGC(p, false)
}

// planDelete adds the folders of the runs that are to be forgotten, and nothing
// else.
func (c *garbage) planDelete(ctx context.Context, p *gcPlan) error {
	c.stay = map[string]*runFacts{}
	for i := range c.runs {
		c.stay[c.runs[i].ID] = &c.runs[i]
	}
	for _, id := range p.forget {
		delete(c.stay, id)
	}
	_, paths, err := c.db.References(ctx, p.forget)
	if err != nil {
		return err
	}
	c.paths = sortedNames(paths)
	all := &gcPlan{}
	if err := c.planFolders(ctx, all); err != nil {
		return err
	}
	for _, i := range all.items {
		for _, id := range p.forget {
			if i.Name == "runs/"+id || i.Name == "logs/"+id {
				p.items = append(p.items, i)
			}
		}
	}
	return nil
}
