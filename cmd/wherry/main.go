// Command wherry runs machine-learning pipelines as containers on one machine.
//
//	main ── root (root.go): flags, exit codes ── one file per command
//	                                               │
//	        load.go: file ── front end ── dag.Pipeline
//	        engine.go: home, database, artifact store, backend, queue ── dag.Driver
//
// It is the only place that wires the packages together.
package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner/process"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == superviseCommand {
		os.Exit(process.Supervise(os.Args[2]))
	}
	os.Exit(run(os.Args[1:]))
}

// superviseCommand is what the process backend re-executes wherry as, once for
// each pod: a session of its own, so that the pod survives wherry. It comes
// before everything else because it must start quickly.
const superviseCommand = "supervise"

// run executes one command line and returns the exit code.
func run(args []string) int {
	shared := new(atomic.Bool)
	ctx, kill, stop := catchSignals(shared)
	defer stop()
	g := &globals{SharesTerminal: shared, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Kill: kill, Getenv: os.Getenv}
	defer g.close()
	cmd := newRootCmd(g)
	cmd.SetArgs(args)
	return g.report(cmd.ExecuteContext(ctx))
}

// catchSignals returns a context that the first INT or TERM cancels, and a
// channel that the second closes; the third kills. HUP cancels with
// dag.ErrHangup, so that pods are left running. INT is not ours while the terminal
// is shared with a shell.
func catchSignals(shared *atomic.Bool) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	kill := make(chan struct{})
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		seen := 0
		for s := range signals {
			if s == syscall.SIGHUP {
				cancel(dag.ErrHangup)
				continue
			}
			if s == os.Interrupt && shared.Load() {
				continue
			}
			switch seen++; seen {
			case 1:
				cancel(errInterrupted)
			case 2:
				close(kill)
				signal.Reset(os.Interrupt, syscall.SIGTERM)
			}
		}
	}()
	return ctx, kill, func() { signal.Stop(signals); cancel(nil) }
}
