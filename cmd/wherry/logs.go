package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/logfile"
	"github.com/wherry-ml/wherry/sqlite"
)

type logsFlags struct {
	follow     bool
	tail       int
	timestamps bool
}

func newLogsCmd(g *globals) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs RUN[/TASK]",
		Short: "Print what steps wrote",
		Long: `Logs prints what the containers of a run, or of one of its tasks, wrote: stdout on
stdout, stderr on stderr, byte for byte. With more than one task each line begins
with the task's path.`,
		Example: `  wherry logs last/train
  wherry logs -f last`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.logs(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on until the run has ended")
	cmd.Flags().IntVar(&f.tail, "tail", 0, "only the last `N` lines of each task (0: all)")
	cmd.Flags().BoolVarP(&f.timestamps, "timestamps", "t", false, "begin each line with its time")
	return cmd
}

func (g *globals) logs(ctx context.Context, ref string, f logsFlags) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	run, _, task, err := g.findWork(ctx, db, ref)
	if err != nil {
		return err
	}
	p := &logPrinter{g: g, db: db, f: f, run: run.ID, seen: map[string]time.Time{}, over: map[string]bool{}}
	if task != nil {
		p.task = task.ID
	}
	for {
		done, err := p.pass(ctx)
		if err != nil || done || !f.follow {
			return err
		}
		if !g.driven(run.ID) {
			if done, err := p.pass(ctx); err != nil || done { // it has ended meanwhile
				return err
			}
			g.note(fmt.Sprintf("run %s was interrupted; wherry resume %s goes on with it", run.ID, run.ID))
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(150 * time.Millisecond):
		}
	}
}

// logPrinter prints the logs of a run: from the files of attempts that were
// collected, from the backend of those that run.
type logPrinter struct {
	g       *globals
	db      *sqlite.DB
	f       logsFlags
	run     string
	task    int64 // 0: all
	backend runner.Backend
	seen    map[string]time.Time // by pod: the last line printed
	over    map[string]bool      // by pod: printed to its end
}

// pass prints what is new and reports whether nothing more will come.
func (p *logPrinter) pass(ctx context.Context) (bool, error) {
	run, executions, err := p.db.LoadRun(ctx, p.run)
	if err != nil {
		return false, err
	}
	ended := run.State.Ended()
	for _, x := range executions {
		if p.task != 0 && x.ID != p.task {
			continue
		}
		if p.task != 0 {
			ended = ended || x.State.Ended()
		}
		attempts := x.Attempts
		if x.Cached {
			attempts = p.cachedFrom(ctx, x)
		}
		for _, a := range attempts {
			if p.over[a.Pod] {
				continue
			}
			if err := p.attempt(ctx, run, x, a); err != nil {
				return false, err
			}
		}
	}
	return ended, nil
}

// cachedFrom returns the attempts of the execution whose outputs a cache hit took.
func (p *logPrinter) cachedFrom(ctx context.Context, x *dag.Execution) []*dag.Attempt {
	entry, err := p.db.LookupCache(ctx, x.Key)
	if err != nil {
		return nil
	}
	_, executions, err := p.db.LoadRun(ctx, entry.Run)
	if err != nil {
		return nil
	}
	for _, other := range executions {
		if other.ID != entry.Execution {
			continue
		}
		if !p.over[x.Path] {
			p.over[x.Path] = true
			p.g.note(fmt.Sprintf("%s was cached; this is its log in run %s", x.Path, entry.Run))
		}
		return other.Attempts
	}
	return nil
}

func (p *logPrinter) attempt(ctx context.Context, run *dag.Run, x *dag.Execution, a *dag.Attempt) error {
	if a.Log != "" {
		p.over[a.Pod] = true
		return p.file(x, a)
	}
	if a.State.Ended() {
		p.over[a.Pod] = true
		return nil
	}
	if p.backend == nil {
		b, err := p.g.backend(ctx, run.Options.Backend)
		if err != nil {
			return err
		}
		p.backend = b
	}
	o := runner.LogOptions{Since: p.seen[a.Pod], Tail: p.f.tail}
	for l, err := range p.backend.Logs(ctx, a.Pod, o) {
		if errors.Is(err, runner.ErrLost) {
			return nil // not started yet, or collected meanwhile: the next pass sees
		}
		if err != nil {
			return fmt.Errorf("read the log of %s: %w", x.Path, err)
		}
		if err := p.print(x, a, l); err != nil {
			return err
		}
	}
	return nil
}

func (p *logPrinter) file(x *dag.Execution, a *dag.Attempt) error {
	path := filepath.Join(p.g.Home, a.Log)
	var failed error
	since := p.seen[a.Pod] // not what this pass prints: two streams may write at the same moment
	print := func(l runner.Line) bool {
		if !l.Time.After(since) && !since.IsZero() {
			return true
		}
		failed = p.print(x, a, l)
		return failed == nil
	}
	var err error
	if p.f.tail > 0 {
		var lines []runner.Line
		lines, err = logfile.Tail(path, p.f.tail)
		for _, l := range lines {
			if !print(l) {
				break
			}
		}
	} else {
		err = logfile.Read(path, print)
	}
	if errors.Is(err, os.ErrNotExist) {
		p.g.note(fmt.Sprintf("the log of %s, attempt %d, was deleted", x.Path, a.Number))
		return nil
	}
	return errors.Join(err, failed)
}

func (p *logPrinter) print(x *dag.Execution, a *dag.Attempt, l runner.Line) error {
	if l.Time.After(p.seen[a.Pod]) {
		p.seen[a.Pod] = l.Time
	}
	w := p.g.Out
	if l.Stream == runner.Stderr {
		w = p.g.Err
	}
	if p.f.timestamps {
		if _, err := io.WriteString(w, l.Time.UTC().Format(time.RFC3339Nano)+" "); err != nil {
			return err
		}
	}
	if p.task == 0 {
		if _, err := io.WriteString(w, x.Path+" | "); err != nil {
			return err
		}
	}
	return writeLine(p.g.Out, p.g.Err, l)
}
