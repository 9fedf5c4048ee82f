package process

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestExec(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	p := onePod("exec", "echo ready; sleep 99")
	p.Containers[0].Env = []runner.EnvVar{{Name: "A", Value: "plain"}, {Name: "S", Value: "hidden", Secret: true}}
	if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, b, "exec", "ready")
	var out, errs bytes.Buffer
	exit, err := b.Exec(ctx, "exec", "", runner.ExecSpec{
		Command: []string{"sh", "-c", "cat; echo $A $S $X; pwd; echo err >&2; exit 4"},
		Env:     []runner.EnvVar{{Name: "X", Value: "extra"}},
		Stdin:   strings.NewReader("in\n"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || exit.Code != 4 || exit.Cause != runner.CauseError || errs.String() != "err\n" ||
		out.String() != "in\nplain hidden extra\n"+b.pod("exec").cwd()+"\n" {
		t.Errorf("%+v %v\n%s%s", exit, err, out.String(), errs.String())
	}
	exit, err = b.Exec(ctx, "exec", "main", runner.ExecSpec{Command: []string{"no-such-command"}})
	if err != nil || exit.Cause != runner.CauseStart || exit.Code != 127 {
		t.Errorf("%+v %v", exit, err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = b.Stop(ctx, "exec", 0)
	}()
	exit, err = b.Exec(ctx, "exec", "main", runner.ExecSpec{Command: []string{"sleep", "99"}, Stdin: new(endless)})
	if err != nil || exit.Cause != runner.CauseStopped {
		t.Errorf("a command whose pod ends: %+v %v", exit, err)
	}
	if _, err := b.Exec(ctx, "exec", "other", runner.ExecSpec{Command: []string{"true"}}); err == nil {
		t.Error("a container that isn't there")
	}
	if _, err := b.Exec(ctx, "gone", "", runner.ExecSpec{Command: []string{"true"}}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("a pod that isn't there: %v", err)
	}
}

func TestDial(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	if err := b.Ensure(ctx, []runner.Pod{onePod("dial", "sleep 99")}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}()
	conn, err := b.Dial(ctx, "dial", l.Addr().(*net.TCPAddr).Port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, _ := io.ReadAll(conn); string(got) != "hello" {
		t.Errorf("%q", got)
	}
	if _, err := b.Dial(ctx, "gone", 1); !errors.Is(err, runner.ErrLost) {
		t.Errorf("%v", err)
	}
}

func TestCapacityAndPing(t *testing.T) {
	b := newBackend(t)
	c, err := b.Capacity(t.Context())
	if err != nil || c.CPU < 1000 || c.Memory < 1<<28 || c.Pods < 4 || len(c.GPUs) != 0 {
		t.Errorf("%+v %v", c, err)
	}
	if err := b.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	none, err := New(Config{Dir: t.TempDir(), Supervisor: []string{"no-such-wherry", "supervise"}})
	if err != nil {
		t.Fatal(err)
	}
	var away *runner.UnavailableError
	if err := none.Ping(t.Context()); !errors.As(err, &away) || away.Hint() == "" {
		t.Errorf("%v", err)
	}
}

// endless is an input that never ends.
type endless struct{}

func (endless) Read([]byte) (int, error) { select {} }
