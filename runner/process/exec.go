package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// Exec runs a command in the environment and the directory of a running
// container, as runner.Backend says. Secrets reach it where this system shows
// the environment of a process, as Linux does. A terminal must be x.Stdin itself.
func (b *Backend) Exec(ctx context.Context, pod, name string, x runner.ExecSpec) (runner.Exit, error) {
	fail := func(err error) (runner.Exit, error) {
		return runner.Exit{}, fmt.Errorf("run a command in pod %q: %w", pod, err)
	}
	c, p, err := b.runningContainer(pod, name)
	if err != nil {
		return fail(err)
	}
	if len(x.Command) == 0 {
		return fail(errors.New("no command"))
	}
	if _, ok := x.Stdin.(*os.File); x.TTY && !ok {
		return fail(unsupported("exec: tty", "only a terminal of this process can be handed on"))
	}
	d := b.pod(pod)
	env, err := environ(p.pid)
	if err != nil {
		env = containerEnv(os.Environ(), d, &c, nil)
	}
	for _, e := range x.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	exit := runner.Exit{Cause: runner.CauseCompleted, Container: c.Name, Started: time.Now()}
	path, err := lookPath(x.Command[0], c.Dir, env)
	if err != nil {
		exit.Cause, exit.Code, exit.Message, exit.Ended = runner.CauseStart, 127, err.Error(), time.Now()
		return exit, nil
	}
	// As in a container, the command ends with its pod.
	with, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := b.waitEnd(with, d); err == nil {
			cancel()
		}
	})
	err = runIn(with, path, c.Dir, env, x)
	cancel()
	wait.Wait()
	exit.Ended = time.Now()
	var code *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fail(ctx.Err())
	case errors.Is(err, context.Canceled):
		exit.Cause, exit.Code, exit.Message = runner.CauseStopped, 137, "the pod has ended"
	case errors.As(err, &code):
		exit.Cause, exit.Code = runner.CauseError, exitCode(code.Sys().(syscall.WaitStatus))
	case err != nil:
		exit.Cause, exit.Code, exit.Message = runner.CauseStart, 126, err.Error()
	}
	return exit, nil
}

func runIn(ctx context.Context, path, dir string, env []string, x runner.ExecSpec) error {
	cmd := exec.CommandContext(ctx, path, x.Command[1:]...)
	cmd.Args[0] = x.Command[0]
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = x.Stdout, x.Stderr
	if !x.TTY {
		// A terminal serves only the group in front.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	}
	cmd.WaitDelay = time.Second
	if f, ok := x.Stdin.(*os.File); ok || x.Stdin == nil {
		if f != nil {
			cmd.Stdin = f
		}
		return killed(ctx, cmd.Run())
	}
	// Not through cmd.Stdin: its end would be waited for, and it may never come.
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, x.Stdin)
		in.Close()
	}()
	return killed(ctx, cmd.Wait())
}

// killed is err, or why the command was killed.
func killed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// runningContainer finds a container of the pod, the first main one if name is
// empty, and its process.
func (b *Backend) runningContainer(pod, name string) (containerSpec, process, error) {
	d := b.pod(pod)
	st, err := d.look()
	switch {
	case err != nil:
		return containerSpec{}, process{}, err
	case st.phase == runner.PhaseGone:
		return containerSpec{}, process{}, runner.ErrLost
	case st.phase != runner.PhaseRunning:
		return containerSpec{}, process{}, fmt.Errorf("it is not running: it is %s", st.phase)
	}
	s, err := d.readSpec()
	if err != nil {
		return containerSpec{}, process{}, err
	}
	for _, c := range s.Containers {
		if c.Name != name && (name != "" || c.Role != runner.Main) {
			continue
		}
		p, err := readProcess(d.container(c.Name))
		if err != nil || !p.alive() {
			return c, p, fmt.Errorf("container %q is not running", c.Name)
		}
		return c, p, nil
	}
	return containerSpec{}, process{}, fmt.Errorf("it has no container %q", name)
}

// Dial connects to a TCP port on which a process of the pod listens.
func (b *Backend) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	st, err := b.pod(pod).look()
	switch {
	case err != nil:
		return nil, err
	case st.phase == runner.PhaseGone:
		return nil, fmt.Errorf("connect to pod %q: %w", pod, runner.ErrLost)
	case st.phase != runner.PhaseRunning:
		return nil, fmt.Errorf("connect to pod %q: it is not running: it is %s", pod, st.phase)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		return conn, nil
	}
	if six, e := dialer.DialContext(ctx, "tcp", net.JoinHostPort("::1", strconv.Itoa(port))); e == nil {
		return six, nil
	}
	return nil, fmt.Errorf("connect to pod %q: %w", pod, err)
}
