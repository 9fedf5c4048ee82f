package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

type debugFlags struct {
	ref     string
	command []string
	run     bool
}

func newDebugCmd(g *globals) *cobra.Command {
	var f debugFlags
	cmd := &cobra.Command{
		Use:   "debug RUN/TASK [-- COMMAND…]",
		Short: "Open a shell in a step's own image, mounts, variables and inputs",
		Long: `Debug starts a container of a step's own image, with the variables, secrets, mounts and
inputs that the step had, at the same paths, and opens a shell in it, or runs COMMAND there.
--run runs the step's own command instead, and shows how it ends. Sources that were mounted
with :ro are those of that run, with :ro,live as they are now. What is written as an output goes to a folder of the
session's own, $WHERRY_OUTPUTS; it is removed in the end, and the run on record stays as
it is. In a shell, sh $WHERRY_STEP runs the step's own command.`,
		Example: `  wherry debug last/train
  wherry debug last/train --run
  wherry debug 'nightly/for-loop-1[2]/train' -- python3 -c 'import pandas; print(pandas.__version__)'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.ref, f.command = args[0], args[1:]
			if len(f.command) > 0 && cmd.ArgsLenAtDash() != 1 {
				return &usageError{msg: fmt.Sprintf("a command comes after --, not %q", args[1]), mend: "usage: " + cmd.UseLine()}
			}
			return g.debug(cmd.Context(), f)
		},
	}
	cmd.Flags().BoolVar(&f.run, "run", false, "run the step's own command, and show its exit code")
	return cmd
}

func (g *globals) debug(ctx context.Context, f debugFlags) error {
	if f.run && len(f.command) > 0 {
		return &usageError{msg: "--run runs the step's own command, and another one was given", mend: "leave out --run"}
	}
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	run, executions, task, err := g.findWork(ctx, db, f.ref)
	if err != nil {
		return err
	}
	if err := debuggable(run, executions, task); err != nil {
		return err
	}
	s := &debugSession{g: g, id: newID(), backend: run.Options.Backend}
	driver, q, err := g.driver(ctx, s.id, run.Options, newProgress(g).observe)
	if err != nil {
		return err
	}
	s.Backend, s.queue = driver.Backend, q
	number := fnv.New32a()
	_, _ = number.Write([]byte(s.id))
	s.Debug, err = driver.Debug(ctx, run, executions, task, s.id, int64(number.Sum32()), !f.run)
	if err != nil {
		return err
	}
	g.note(fmt.Sprintf("%s of run %s in %s", task.Path, run.Name, s.Image))
	if err := s.open(ctx); err != nil {
		return errors.Join(err, s.close(ctx))
	}
	if f.run {
		err = s.runStep(ctx)
	} else {
		err = s.shell(ctx, f.command)
	}
	return errors.Join(err, s.close(ctx))
}

// debuggable says why a task can't be looked into.
func debuggable(run *dag.Run, executions []*dag.Execution, task *dag.Execution) error {
	if task == nil {
		mend := "wherry debug RUN/TASK"
		for _, x := range executions {
			if x.State == dag.Failed && x.Kind == dag.KindContainer {
				mend = fmt.Sprintf("wherry debug %s/%s", run.ID, x.Path)
			}
		}
		return &usageError{msg: fmt.Sprintf("%s is a run; a shell is opened in one of its tasks", run.Name), mend: mend}
	}
	switch c := run.Pipeline.Components[task.Component]; {
	case task.Kind != dag.KindContainer || c == nil || c.Pod == nil:
		return &usageError{msg: fmt.Sprintf("task %q is a %s, and has no container of its own", task.Path, task.Kind), mend: "wherry get tasks " + run.ID + " lists the tasks in it"}
	case task.State == dag.Pending, task.State == dag.Skipped, task.Started.IsZero() && task.State.Ended() && len(task.Inputs.Parameters)+len(task.Inputs.Artifacts) == 0 && !task.Cached && len(task.Attempts) == 0 && task.Key == "":
		return &usageError{msg: fmt.Sprintf("task %q never got its inputs: it is %s (%s)", task.Path, task.State, task.Reason+task.Error), mend: "wherry describe " + run.ID}
	}
	return nil
}

// debugSession is a debug pod while somebody uses it.
type debugSession struct {
	*dag.Debug
	runner.Backend
	g       *globals
	id      string
	backend string
	queue   *queue.Queue
	lock    *runLock
}

// open starts the pod. That it is there is on record first, so that the next
// command removes what a killed one left.
func (s *debugSession) open(ctx context.Context) (err error) {
	if s.lock, err = s.g.lockRun(ctx, s.id); err != nil {
		return err
	}
	if err := s.g.recordDebug(s.id, debugRecord{Pod: s.Pod.Name, Backend: s.backend, Volumes: s.Volumes}); err != nil {
		return err
	}
	if err := s.devices(ctx); err != nil {
		return err
	}
	return s.Ensure(ctx, []runner.Pod{s.Pod})
}

// devices waits until the queue grants the GPUs that the step asks for. CPU and
// memory are not counted: somebody waits for the shell.
func (s *debugSession) devices(ctx context.Context) error {
	gpus := s.Pod.Resources.GPU
	said := false
	for gpus > 0 {
		granted, err := s.queue.Admit(ctx, []queue.Request{{Pod: s.Pod.Name, Run: s.id, Resources: runner.Resources{GPU: gpus}}})
		if err != nil {
			return err
		}
		if granted[0].Granted {
			s.Pod.Resources.Devices = granted[0].Devices
			return nil
		}
		if !said && granted[0].Waits != "" {
			said = true
			s.g.note(granted[0].Waits)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
	return nil
}

// close removes what the session made, also after Ctrl-C.
func (s *debugSession) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if s.lock == nil {
		return nil
	}
	err := removeDebug(ctx, s.Backend, debugRecord{Pod: s.Pod.Name, Volumes: s.Volumes})
	if err == nil {
		_ = s.queue.Release(ctx, s.Pod.Name)
		err = s.g.forgetDebug(s.id)
	}
	_ = s.lock.Close()
	return err
}

// runStep follows the step's own command to its end.
func (s *debugSession) runStep(ctx context.Context) error {
	s.g.note("outputs go to " + s.Outputs + ", and are removed in the end")
	for l, err := range s.Logs(ctx, s.Pod.Name, runner.LogOptions{Follow: true}) {
		if err != nil {
			return err
		}
		if err := writeLine(s.g.Out, s.g.Err, l); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	exit, err := s.ended(ctx, debugOutputs{s.g})
	if err != nil {
		return err
	}
	return s.told("the step's command", exit)
}

// ended waits for the end of the pod, whose log has ended, and collects it.
func (s *debugSession) ended(ctx context.Context, to runner.Sink) (runner.Exit, error) {
	for st, err := range s.Watch(ctx) {
		if err != nil {
			return runner.Exit{}, err
		}
		if st.Pod == s.Pod.Name && (st.Phase == runner.PhaseEnded || st.Phase == runner.PhaseGone) {
			break
		}
	}
	if ctx.Err() != nil {
		return runner.Exit{}, context.Cause(ctx)
	}
	return s.Collect(ctx, s.Pod, to)
}

// told says how a command ended, and makes another end than a good one an error.
func (s *debugSession) told(what string, exit runner.Exit) error {
	text := fmt.Sprintf("%s ended with exit code %d", what, exit.Code)
	if exit.Message != "" {
		text += ": " + exit.Message
	}
	if exit.OK() {
		s.g.note(fmt.Sprintf("%s after %s", text, span(exit.Started, exit.Ended)))
		return nil
	}
	return &workError{state: dag.Failed, msg: text}
}

// debugOutputs tells of what a step wrote.
type debugOutputs struct{ g *globals }

// Output implements runner.Sink.
func (o debugOutputs) Output(name, path string) error {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "executor":
		text, _ := dag.ReadSmall(path)
		var said struct {
			Parameters map[string]any `json:"parameterValues"`
		}
		_ = json.Unmarshal(text, &said) // what is wrong with it, a run says
		for _, name := range sortedNames(said.Parameters) {
			o.g.note(fmt.Sprintf("wrote parameter %s = %s", name, short(dag.FormatValue(said.Parameters[name]), 160)))
		}
	case "parameter":
		_, rest, _ = strings.Cut(rest, ":")
		text, _ := dag.ReadSmall(path)
		o.g.note(fmt.Sprintf("wrote parameter %s = %s", rest, short(string(text), 160)))
	case "artifact":
		o.g.note("wrote artifact " + rest)
	}
	return nil
}

// Line implements runner.Sink: the log was shown as it came.
func (debugOutputs) Line(runner.Line) error { return nil }
