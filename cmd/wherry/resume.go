package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newResumeCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "resume RUN|EXPERIMENT",
		Short: "Go on with a run or an experiment that has lost its driver",
		Long: `Resume adopts what still runs, collects what has ended, and starts again what was
lost. A driver that is dead is replaced at once, one that hangs or was stopped and has
not moved for 8 s is killed and replaced; one that is well keeps the run. Of a run that
has ended it prints the result and exits by its state.`,
		Example: `  wherry resume last`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.resume(cmd.Context(), args[0])
		},
	}
}

func (g *globals) resume(ctx context.Context, ref string) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	row, err := db.FindRun(ctx, ref)
	if is[*sqlite.NotFoundError](err) {
		if x, e := db.FindExperiment(ctx, ref); e == nil {
			return g.goOnExperiment(ctx, x.ID, 0)
		}
	}
	if err != nil {
		return err
	}
	run, executions, err := db.LoadRun(ctx, row.ID)
	if err != nil {
		return err
	}
	p := newProgress(g)
	if run.State.Ended() {
		return g.printResult(run, executions, p)
	}
	driver, lock, err := g.takeUp(ctx, run, executions, p)
	if err != nil {
		return err
	}
	defer lock.Close()
	defer g.letGo()
	return g.drive(ctx, driver, lock, run.ID, p)
}

// takeUp makes what goes on with a run that has lost its driver. The caller drives it,
// and then closes the lock and lets go.
func (g *globals) takeUp(ctx context.Context, run *dag.Run, executions []*dag.Execution, p *progress) (*dag.Driver, *runLock, error) {
	lock, err := g.lockRun(ctx, run.ID)
	if err != nil {
		return nil, nil, err
	}
	driver, _, err := g.driver(ctx, run.ID, run.Options, p.observe)
	if err != nil {
		_ = lock.Close()
		return nil, nil, err
	}
	p.goOn(run, executions)
	return driver, lock, nil
}

// drive drives a run to its end and prints the result. The caller holds its lock.
func (g *globals) drive(ctx context.Context, driver *dag.Driver, lock *runLock, id string, p *progress) error {
	p.await(driver.Backend.Logs)
	driver.Beat = lock.beat
	asBefore := goOnUnread()
	run, executions, err := driver.Drive(ctx, id)
	p.close(err == nil)
	asBefore()
	if is[*dag.TakenOverError](err) {
		return err
	}
	if err != nil {
		return &interruptedError{run: id, err: err}
	}
	return g.printResult(run, executions, p)
}

// interruptedError says that a run could not be driven to its end, and can go on.
type interruptedError struct {
	run string
	err error
}

func (e *interruptedError) Error() string {
	return fmt.Sprintf("run %s is not finished: %v", e.run, e.err)
}

func (e *interruptedError) Unwrap() error { return e.err }

// Hint says what to do next.
func (e *interruptedError) Hint() string {
	resume := fmt.Sprintf("wherry resume %s goes on with it, nothing is lost", e.run)
	if cause := nextStep(e.err, exitFailed); cause != "" {
		return cause + "; " + resume
	}
	return resume
}
