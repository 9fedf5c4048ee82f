package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func newBackend(t testing.TB) *Backend {
	t.Helper()
	return newBackendAt(t, t.TempDir())
}

func newBackendAt(t testing.TB, dir string) *Backend {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "artifacts"), 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := openAt(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		entries, _ := os.ReadDir(b.work())
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				if err := b.Remove(context.Background(), e.Name()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return b
}

func sh(name, script string) runner.Container {
	return runner.Container{Name: name, Image: "any", Command: []string{"sh", "-c", script}}
}

func onePod(name, script string) runner.Pod {
	return runner.Pod{Name: name, Labels: map[string]string{runner.LabelPod: name}, Containers: []runner.Container{sh("main", script)}}
}

func withTimeout(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// collected is a sink that keeps everything.
type collected struct {
	outputs map[string]string
	lines   []runner.Line
	bytes   int
}

func (c *collected) Output(name, path string) error {
	if c.outputs == nil {
		c.outputs = map[string]string{}
	}
	c.outputs[name] = path
	return nil
}

func (c *collected) Line(l runner.Line) error {
	c.bytes += len(l.Text)
	if len(c.lines) < 10_000 {
		c.lines = append(c.lines, l)
	}
	return nil
}

func (c *collected) text() string {
	var sb strings.Builder
	for _, l := range c.lines {
		fmt.Fprintf(&sb, "%s %s %s\n", l.Container, l.Stream, l.Text)
	}
	return sb.String()
}

// run runs the pod to its end.
func run(t testing.TB, b *Backend, p runner.Pod) (runner.Exit, *collected) {
	t.Helper()
	ctx := withTimeout(t)
	if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
		t.Fatal(err)
	}
	return finish(t, b, p)
}

func finish(t testing.TB, b *Backend, p runner.Pod) (runner.Exit, *collected) {
	t.Helper()
	ctx := withTimeout(t)
	if _, err := b.waitEnd(ctx, b.pod(p.Name)); err != nil {
		t.Fatal(err)
	}
	var c collected
	exit, err := b.Collect(ctx, p, &c)
	if err != nil {
		t.Fatal(err)
	}
	return exit, &c
}

func TestExits(t *testing.T) {
	b := newBackend(t)
	for _, tt := range []struct {
		name    string
		command []string
		cause   runner.Cause
		code    int
	}{
		{"well", []string{"true"}, runner.CauseCompleted, 0},
		{"three", []string{"sh", "-c", "exit 3"}, runner.CauseError, 3},
		{"signal", []string{"sh", "-c", "kill -9 $$"}, runner.CauseError, 137},
		{"not-found", []string{"no-such-command"}, runner.CauseStart, 127},
		{"not-a-program", []string{os.DevNull}, runner.CauseStart, 126},
		{"daemon", []string{"sh", "-c", "setsid sleep 100 & exit 4"}, runner.CauseError, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := runner.Pod{Name: "exit-" + tt.name, Containers: []runner.Container{{Name: "main", Command: tt.command}}}
			start := time.Now()
			exit, c := run(t, b, p)
			if exit.Cause != tt.cause || exit.Code != tt.code || exit.Container != "main" {
				t.Errorf("exit %+v, want %s %d\n%s", exit, tt.cause, tt.code, c.text())
			}
			if exit.Ended.Before(exit.Started) || exit.Started.Before(start) {
				t.Errorf("times %v to %v, began %v", exit.Started, exit.Ended, start)
			}
			if n := marked(t, b, p.Name); n != 0 {
				t.Errorf("%d processes left", n)
			}
		})
	}
}

// marked counts the processes of a pod.
func marked(t testing.TB, b *Backend, pod string) int {
	t.Helper()
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, _ := os.ReadFile(f)
		if strings.Contains("\x00"+string(env), "\x00"+b.pod(pod).marker()+"\x00") {
			n++
		}
	}
	return n
}

func TestDeadlineAndStop(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	t.Run("deadline", func(t *testing.T) {
		p := onePod("deadline", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done")
		p.Deadline = 200 * time.Millisecond
		exit, c := run(t, b, p)
		if exit.Cause != runner.CauseDeadline || exit.Code != 0 || !strings.Contains(c.text(), "bye") {
			t.Errorf("exit %+v\n%s", exit, c.text())
		}
	})
	t.Run("kill after grace", func(t *testing.T) {
		p := onePod("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
		if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, b, "stubborn", "ready")
		start := time.Now()
		if err := b.Stop(ctx, "stubborn", 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		exit, _ := finish(t, b, p)
		if exit.Cause != runner.CauseStopped || exit.Code != 137 || took < 290*time.Millisecond || took > 5*time.Second {
			t.Errorf("exit %+v after %v", exit, took)
		}
		if err := b.Stop(ctx, "stubborn", 0); err != nil {
			t.Errorf("stop an ended pod: %v", err)
		}
		if err := b.Stop(ctx, "never-was", 0); err != nil {
			t.Errorf("stop a pod that is gone: %v", err)
		}
	})
	t.Run("what a shell started may end well", func(t *testing.T) {
		p := onePod("inner", "sh -c 'trap \"sleep 0.2; echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.01; done'; echo not reached")
		if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, b, "inner", "ready")
		if err := b.Stop(ctx, "inner", 20*time.Second); err != nil {
			t.Fatal(err)
		}
		exit, c := finish(t, b, p)
		if exit.Cause != runner.CauseStopped || exit.Code != 143 || !strings.Contains(c.text(), "saved") || strings.Contains(c.text(), "not reached") {
			t.Errorf("%+v\n%s", exit, c.text())
		}
	})
	t.Run("what a shell started may not outstay", func(t *testing.T) {
		p := onePod("outstays", "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.01; done'; true")
		if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, b, "outstays", "ready")
		start := time.Now()
		if err := b.Stop(ctx, "outstays", 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 290*time.Millisecond || took > 5*time.Second || marked(t, b, "outstays") > 0 {
			t.Errorf("after %v %d are left", took, marked(t, b, "outstays"))
		}
	})
	t.Run("a second stop is quicker", func(t *testing.T) {
		p := onePod("twice", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
		if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, b, "twice", "ready")
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Stop(ctx, "twice", time.Minute) })
		time.Sleep(50 * time.Millisecond)
		if err := b.Stop(ctx, "twice", 0); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	})
	t.Run("remove kills", func(t *testing.T) {
		if err := b.Ensure(ctx, []runner.Pod{onePod("removed", "setsid sleep 99 & sleep 98")}); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(ctx, "removed"); err != nil {
			t.Fatal(err)
		}
		if n := marked(t, b, "removed"); n != 0 || b.pod("removed").exists() {
			t.Errorf("%d processes left, directory: %v", n, b.pod("removed").exists())
		}
		if err := b.Remove(ctx, "removed"); err != nil {
			t.Errorf("remove again: %v", err)
		}
	})
}

func awaitLine(t testing.TB, b *Backend, pod, text string) {
	t.Helper()
	for l, err := range b.Logs(withTimeout(t), pod, runner.LogOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(l.Text) == text {
			return
		}
	}
	t.Fatalf("pod %q ended without saying %q", pod, text)
}

func TestLogsKeepBytesAndStreams(t *testing.T) {
	b := newBackend(t)
	long := strings.Repeat("x", 100_000)
	p := onePod("logs", `echo out; echo err >&2; printf 'a\377\000b\n'; head -c 100000 /dev/zero | tr '\0' x; echo; printf 'no newline'`)
	exit, c := run(t, b, p)
	if !exit.OK() {
		t.Fatalf("exit %+v", exit)
	}
	got := map[string]runner.Line{}
	for i, l := range c.lines {
		got[string(l.Text)] = l
		if i > 0 && !l.Time.After(c.lines[i-1].Time) {
			t.Errorf("line %d is not after the one before", i)
		}
	}
	if len(c.lines) != 5 || got["out"].Stream != runner.Stdout || got["err"].Stream != runner.Stderr ||
		got["a\xff\x00b"].Stream != runner.Stdout || got[long].Partial || !got["no newline"].Partial {
		t.Errorf("%d lines: %.300q", len(c.lines), c.text())
	}
	ctx := withTimeout(t)
	var after []string
	for l, err := range b.Logs(ctx, "logs", runner.LogOptions{Since: got[long].Time}) {
		if err != nil {
			t.Fatal(err)
		}
		after = append(after, string(l.Text))
	}
	for l := range b.Logs(ctx, "logs", runner.LogOptions{Tail: 1, Follow: true}) {
		after = append(after, string(l.Text))
	}
	for l := range b.Logs(ctx, "logs", runner.LogOptions{Tail: 1}) {
		after = append(after, string(l.Text))
	}
	last := string(c.lines[4].Text)
	if fmt.Sprint(after[len(after)-2:]) != fmt.Sprint([]string{last, last}) || after[len(after)-3] == long {
		t.Errorf("since and tail: %.200q", after)
	}
}

func TestLogsOf100MB(t *testing.T) {
	b := newBackend(t)
	start := time.Now()
	exit, c := run(t, b, onePod("big", "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678 | head -c 100000000"))
	if !exit.OK() || c.bytes != 100_000_000-100_000_000/80 {
		t.Errorf("exit %+v, %d bytes", exit, c.bytes)
	}
	t.Logf("100 MB written and read in %v", time.Since(start))
}

func TestContainersOfAPod(t *testing.T) {
	b := newBackend(t)
	shared := filepath.Join(b.cfg.Dir, "runs", "r", "shared")
	p := runner.Pod{Name: "many", Volumes: []runner.Volume{{Name: "v", Scratch: true}}}
	for _, c := range []runner.Container{
		sh("init", "echo init >> order"),
		sh("side", "echo side >> order.side; trap 'echo stopped; exit 7' TERM; while :; do sleep 0.01; done"),
		sh("third", "echo third >> order"),
		sh("first", "echo first >> order"),
		sh("second", "echo second >> order; cat order > result"),
	} {
		c.Mounts = []runner.Mount{{Volume: "v", Path: shared}}
		c.WorkDir = shared
		p.Containers = append(p.Containers, c)
	}
	p.Containers[0].Role = runner.Init
	p.Containers[1].Role = runner.Sidecar
	p.Containers[2].After = []string{"second"}
	p.Containers[4].After = []string{"first"}
	p.Outputs = []runner.Output{{Name: "order", Path: shared + "/order"}, {Name: "none", Path: shared + "/none"}}
	exit, c := run(t, b, p)
	if !exit.OK() || len(c.outputs) != 1 {
		t.Fatalf("exit %+v, outputs %v\n%s", exit, c.outputs, c.text())
	}
	if got, _ := os.ReadFile(c.outputs["order"]); string(got) != "init\nfirst\nsecond\nthird\n" {
		t.Errorf("order %q", got)
	}
	if !strings.Contains(c.text(), "side stdout stopped") {
		t.Errorf("the sidecar was not told to stop:\n%s", c.text())
	}
	if err := b.Remove(withTimeout(t), "many"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(shared); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the volume's place is still there: %v", err)
	}
}

func TestFailureInAPod(t *testing.T) {
	b := newBackend(t)
	p := runner.Pod{Name: "fails", Containers: []runner.Container{
		sh("a", "exit 5"), sh("b", "echo b ran"), sh("c", "echo c ran"),
	}}
	p.Containers[1].After = []string{"a"}
	exit, c := run(t, b, p)
	if exit.Cause != runner.CauseError || exit.Code != 5 || exit.Container != "a" || strings.Contains(c.text(), "b ran") || !strings.Contains(c.text(), "c ran") {
		t.Errorf("exit %+v\n%s", exit, c.text())
	}
	p = runner.Pod{Name: "init-fails", Containers: []runner.Container{sh("i", "exit 6"), sh("m", "echo m ran")}}
	p.Containers[0].Role = runner.Init
	exit, c = run(t, b, p)
	if exit.Cause != runner.CauseError || exit.Code != 6 || exit.Container != "i" || c.bytes > 0 {
		t.Errorf("exit %+v\n%s", exit, c.text())
	}
}
