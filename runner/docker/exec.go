package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"

	"github.com/wherry-ml/wherry/runner"
)

// Exec runs a command in a running container. When ctx ends the streams are cut
// off; the engine has no call that ends the command itself.
func (b *Backend) Exec(ctx context.Context, pod, containerName string, x runner.ExecSpec) (runner.Exit, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return runner.Exit{}, err
	}
	u, err := b.findUnit(ctx, e, pod, containerName)
	if err != nil {
		return runner.Exit{}, err
	}
	created, err := e.ContainerExecCreate(ctx, u.id, container.ExecOptions{
		Cmd: x.Command, Env: environ(nil, x.Env), Tty: x.TTY,
		AttachStdin: x.Stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return runner.Exit{}, e.failed(err, "exec in pod %s", pod)
	}
	exit := runner.Exit{Container: u.name, Started: time.Now()}
	if err := e.execStreams(ctx, created.ID, x); err != nil {
		return exit, err
	}
	exit.Ended = time.Now()
	done, err := e.ContainerExecInspect(ctx, created.ID)
	if err != nil {
		return exit, e.failed(err, "exec in pod %s", pod)
	}
	exit.Code, exit.Cause = done.ExitCode, runner.CauseCompleted
	if exit.Code != 0 {
		exit.Cause = runner.CauseError
	}
	return exit, nil
}

func (e *engine) execStreams(ctx context.Context, id string, x runner.ExecSpec) error {
	conn, err := e.ContainerExecAttach(ctx, id, container.ExecAttachOptions{Tty: x.TTY})
	if err != nil {
		return e.failed(err, "attach")
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if x.TTY && x.Resize != nil {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go e.resizeExec(ctx, id, x.Resize)
	}
	if x.Stdin != nil {
		go func() { // ends with the connection, or when its reader does
			io.Copy(conn.Conn, x.Stdin)
			conn.CloseWrite()
		}()
	}
	out, errOut := orDiscard(x.Stdout), orDiscard(x.Stderr)
	if x.TTY {
		_, err = io.Copy(out, conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(out, errOut, conn.Reader)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// resizeExec tells a command of its terminal's size until ctx ends. The engine knows
// the command only once it has started.
func (e *engine) resizeExec(ctx context.Context, id string, sizes <-chan runner.TerminalSize) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-sizes:
			for range 10 {
				if err := e.ContainerExecResize(ctx, id, container.ResizeOptions{Width: s.Width, Height: s.Height}); err == nil || ctx.Err() != nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// findUnit finds a container of a pod by name; its first main one by "".
func (b *Backend) findUnit(ctx context.Context, e *engine, pod, name string) (unit, error) {
	v, err := b.observe(ctx, e, pod)
	if err != nil {
		return unit{}, err
	}
	for _, u := range v.units {
		if name == "" && u.role == roleMain || name != "" && u.name == name {
			return u, nil
		}
	}
	if len(v.units) == 0 {
		return unit{}, fmt.Errorf("pod %s: %w", pod, runner.ErrLost)
	}
	return unit{}, fmt.Errorf("pod %s has no container %q", pod, name)
}

// Dial connects to the container's own address where containers run on this
// machine, else to the port that was published for it, through ssh where the
// engine is reached so.
func (b *Backend) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return nil, err
	}
	c, err := e.ContainerInspect(ctx, pod)
	if isNotFound(err) {
		return nil, fmt.Errorf("dial pod %s: %w", pod, runner.ErrLost)
	}
	if err != nil {
		return nil, e.failed(err, "dial pod %s", pod)
	}
	if c.HostConfig.NetworkMode.IsNone() {
		return nil, unsupported("network", "pod %s has none to be reached by", pod)
	}
	var dialer net.Dialer
	if !publishes(e) {
		for _, n := range c.NetworkSettings.Networks {
			if n.IPAddress != "" {
				return dialer.DialContext(ctx, "tcp", net.JoinHostPort(n.IPAddress, strconv.Itoa(port)))
			}
		}
		return nil, fmt.Errorf("pod %s has no address: it is %s", pod, c.State.Status)
	}
	published := c.NetworkSettings.Ports[nat.Port(strconv.Itoa(port)+"/tcp")]
	if len(published) == 0 {
		return nil, unsupported("network.ports", "port %d of pod %s was not published when it was made", port, pod)
	}
	at := net.JoinHostPort("127.0.0.1", published[0].HostPort)
	switch e.end.scheme() {
	case "unix":
		return dialer.DialContext(ctx, "tcp", at)
	case "ssh":
		u, err := url.Parse(e.end.host)
		if err != nil {
			return nil, err
		}
		return startConn(exec.Command("ssh", append([]string{"-W", at}, sshArgs(u)...)...))
	}
	return nil, unsupported("network.ports", "the engine at %s is reached by tcp, which forwards no ports; use ssh://", e.end.host)
}
