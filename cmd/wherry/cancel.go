package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
)

func newCancelCmd(g *globals) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:     "cancel RUN",
		Short:   "Cancel a run: stop its steps, start no more",
		Example: "  wherry cancel last",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.cancel(cmd.Context(), args[0], !noWait)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "don't wait until its steps have stopped")
	return cmd
}

func (g *globals) cancel(ctx context.Context, ref string, wait bool) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	row, err := db.FindRun(ctx, ref)
	if err != nil {
		return err
	}
	if row.State.Ended() {
		g.note(fmt.Sprintf("run %s has ended already: %s", row.ID, row.State))
		return nil
	}
	if err := db.RequestCancel(ctx, row.ID); err != nil {
		return err
	}
	if !g.driven(row.ID) {
		return g.cancelInterrupted(ctx, row.ID)
	}
	if !wait {
		g.note(fmt.Sprintf("run %s was asked to cancel", row.ID))
	}
	for wait {
		run, _, err := db.LoadRun(ctx, row.ID)
		if err != nil {
			return err
		}
		if run.State.Ended() {
			g.note(fmt.Sprintf("run %s: %s", row.ID, run.State))
			return nil
		}
		if last, err := g.lastBeat(row.ID); !g.driven(row.ID) || err == nil && time.Since(last) > hungAfter {
			err := g.cancelInterrupted(ctx, row.ID)
			if !is[*ownedError](err) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// cancelInterrupted drives a run that nobody drives to its canceled end.
func (g *globals) cancelInterrupted(ctx context.Context, id string) error {
	defer goOnUnread()()
	lock, err := g.lockRun(ctx, id)
	if err != nil {
		return err
	}
	defer lock.Close()
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	run, _, err := db.LoadRun(ctx, id)
	if err != nil {
		return err
	}
	driver, _, err := g.driver(ctx, id, run.Options, nil)
	if err != nil {
		return err
	}
	defer g.letGo()
	driver.Beat = lock.beat
	run, _, err = driver.Drive(ctx, id)
	if err != nil {
		return &interruptedError{run: id, err: err}
	}
	if run.State != dag.Canceled {
		g.note(fmt.Sprintf("run %s had ended meanwhile", id))
	}
	g.note(fmt.Sprintf("run %s: %s", id, run.State))
	return nil
}
