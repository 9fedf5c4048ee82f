package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/wherry-ml/wherry/runner"
)

// bestShell opens bash where the image has it.
const bestShell = "command -v bash >/dev/null 2>&1 && exec bash; exec sh"

// shell runs a command in the pod, a shell where none is given, on the terminal
// where there is one.
func (s *debugSession) shell(ctx context.Context, command []string) error {
	what := "the command"
	if len(command) == 0 {
		command, what = []string{"sh", "-c", bestShell}, "the shell"
		s.g.note(fmt.Sprintf("the step's own command: sh $WHERRY_STEP\noutputs go to $WHERRY_OUTPUTS (%s), and are removed with the shell", s.Outputs))
	}
	x := runner.ExecSpec{Command: command, Stdin: s.g.In, Stdout: s.g.Out, Stderr: s.g.Err}
	x.Env = []runner.EnvVar{{Name: "WHERRY_STEP", Value: s.Script}, {Name: "WHERRY_OUTPUTS", Value: s.Outputs}}
	terminal := s.terminal()
	if terminal != nil {
		x.TTY = true
		x.Env = append(x.Env, runner.EnvVar{Name: "TERM", Value: s.g.Getenv("TERM")})
		if s.Features().Isolation {
			restore, sizes, err := rawTerminal(ctx, terminal)
			if err != nil {
				return err
			}
			defer restore()
			x.Resize = sizes
		} else { // the shell has the terminal itself, and Ctrl-C with it
			s.g.SharesTerminal.Store(true)
			defer s.g.SharesTerminal.Store(false)
		}
	}
	exit, err := s.exec(ctx, x)
	if err != nil {
		return err
	}
	if terminal != nil && what == "the shell" {
		return nil // its code is that of the last thing that was tried
	}
	if exit.OK() {
		return nil
	}
	return s.told(what, exit)
}

// exec runs a command as soon as the container is there for it: init containers come
// before.
func (s *debugSession) exec(ctx context.Context, x runner.ExecSpec) (runner.Exit, error) {
	ready := runner.ExecSpec{Command: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err := s.Exec(ctx, s.Pod.Name, s.Container, ready)
		if err == nil {
			return s.Exec(ctx, s.Pod.Name, s.Container, x)
		}
		if ctx.Err() != nil {
			return runner.Exit{}, context.Cause(ctx)
		}
		if exit, ended := s.over(ctx); ended {
			return runner.Exit{}, fmt.Errorf("start a shell in %s: the container ended with exit code %d: %s: %w", s.Image, exit.Code, exit.Message, errNoShell)
		}
		if is[*runner.UnavailableError](err) {
			return runner.Exit{}, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

var errNoShell error = noShellError{}

type noShellError struct{}

func (noShellError) Error() string { return "nothing can be run in it" }

// Hint says what to do next.
func (noShellError) Hint() string {
	return "wherry debug --run, if the image has no sh; wherry logs RUN/TASK, if an init container failed"
}

// over reports whether the pod has ended, and how.
func (s *debugSession) over(ctx context.Context) (runner.Exit, bool) {
	for st, err := range s.Watch(ctx) {
		switch {
		case err != nil, st.Synced:
			return runner.Exit{}, false
		case st.Pod == s.Pod.Name:
			return st.Exit, st.Phase == runner.PhaseEnded || st.Phase == runner.PhaseGone
		}
	}
	return runner.Exit{}, false
}

// terminal is the person's terminal; nil where input or output is something else.
func (s *debugSession) terminal() *os.File {
	in, isIn := s.g.In.(*os.File)
	out, isOut := s.g.Out.(*os.File)
	if isIn && isOut && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd())) {
		return in
	}
	return nil
}

// rawTerminal hands every key on as it is, and tells of the terminal's sizes.
func rawTerminal(ctx context.Context, f *os.File) (restore func(), sizes <-chan runner.TerminalSize, err error) {
	old, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("use the terminal: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan runner.TerminalSize, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil {
				select {
				case out <- runner.TerminalSize{Width: uint(w), Height: uint(h)}:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		signal.Stop(changed)
		cancel()
		<-done
		_ = term.Restore(int(f.Fd()), old)
	}, out, nil
}
