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
with the task's path. The attempts of a task follow each other; of a cached task it is
the log of the execution that made its outputs.

With -f it goes on until the run (or the task) has ended: through retries, and also when
the run loses its driver and another goes on with it.`,
		Example: `  wherry logs last/train
  wherry logs -f last
  wherry logs -f last/for-loop-1          # all in it
  wherry logs --tail 20 -t nightly/train`,
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
	p := &logPrinter{g: g, db: db, f: f, run: run.ID, task: task, seen: map[string]time.Time{}, said: map[string]bool{}, over: map[string]bool{}}
	driven := true
	for {
		lost := f.follow && !g.driven(run.ID)
		done, err := p.pass(ctx)
		if err != nil || done || !f.follow {
			return err
		}
		switch {
		case lost && driven: // asked before the pass: a run that has just ended was seen to
			g.note(fmt.Sprintf("run %s has no driver any more; wherry resume %s goes on with it, and this with its logs", run.ID, run.ID))
		case !lost && !driven:
			g.note(fmt.Sprintf("run %s goes on", run.ID))
		}
		driven = !lost
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
	task    *dag.Execution // it, or all in it; nil: all of the run
	backend runner.Backend
	seen    map[string]time.Time // by pod: the last line printed
	said    map[string]bool      // by pod or path: what was said of it on stderr
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
		if !p.wants(x) {
			continue
		}
		if p.task != nil && x.ID == p.task.ID {
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

// wants reports whether x is, or lies in, what was asked for.
func (p *logPrinter) wants(x *dag.Execution) bool {
	return p.task == nil || x.ID == p.task.ID || !p.task.Kind.Runs() && dag.TaskHolds(p.task.Path, x.Path)
}

// prefixed reports whether lines begin with their task's path.
func (p *logPrinter) prefixed() bool { return p.task == nil || !p.task.Kind.Runs() }

// once says something on stderr that a later pass does not repeat.
func (p *logPrinter) once(key, text string) {
	if !p.said[key] {
		p.said[key] = true
		p.g.note(text)
	}
}

// cachedFrom returns the attempts of the execution whose outputs a cached one took.
func (p *logPrinter) cachedFrom(ctx context.Context, x *dag.Execution) []*dag.Attempt {
	source, err := p.db.SourceOf(ctx, x)
	if errors.Is(err, dag.ErrNotFound) {
		p.once(x.Path, fmt.Sprintf("%s was cached, and the run that made its outputs was deleted with its log", x.Path))
	}
	if err != nil {
		return nil
	}
	p.once(x.Path, fmt.Sprintf("%s was cached; this is its log in run %s", x.Path, source.Run))
	return source.Attempts
}

func (p *logPrinter) attempt(ctx context.Context, run *dag.Run, x *dag.Execution, a *dag.Attempt) error {
	if text := fmt.Sprintf("attempt %d", a.Number); a.Number > 1 {
		if p.prefixed() {
			text = x.Path + ": " + text
		}
		p.once(a.Pod, text)
	}
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
		if is[*runner.UnavailableError](err) && p.f.follow {
			p.once("away", fmt.Sprintf("%v; waiting for it", err))
			return nil
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
	if p.prefixed() {
		if _, err := io.WriteString(w, x.Path+" | "); err != nil {
			return err
		}
	}
	return writeLine(p.g.Out, p.g.Err, l)
}
