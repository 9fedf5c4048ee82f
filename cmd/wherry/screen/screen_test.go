package screen

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/e2e/harness"
	"github.com/wherry-ml/wherry/runner"
)

// onPty returns a screen on a terminal of 80 × 24, and a function that ends it and
// returns what can be seen. Nothing is read from it before start is called.
func onPty(t *testing.T) (s *Screen, start func(), end func(keep bool) *harness.Terminal) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	term := harness.NewTerminal(80, 24)
	s = New(tty, false, true)
	s.Restore(&dag.Run{ID: "id", Name: "a-run", State: dag.Running, Started: time.Now()}, nil)
	var wg sync.WaitGroup
	start = func() {
		wg.Go(func() {
			buf := make([]byte, 64<<10)
			for {
				n, err := master.Read(buf)
				_, _ = term.Write(buf[:n])
				if err != nil {
					return
				}
			}
		})
	}
	return s, start, func(keep bool) *harness.Terminal {
		s.Close(keep)
		tty.Close()
		wg.Wait()
		master.Close()
		return term
	}
}

func step(i int, state dag.State) *dag.Execution {
	x := &dag.Execution{ID: int64(i + 1), Path: fmt.Sprintf("step-%d", i), Kind: dag.KindContainer, State: state, Started: time.Now(), Ended: time.Now()}
	if state == dag.Running {
		x.Attempts = []*dag.Attempt{{Number: 1, Pod: x.Path}}
	}
	return x
}

// However much happens, the terminal is written to ten times a second.
func TestFramesPerSecond(t *testing.T) {
	t.Parallel()
	s, start, end := onPty(t)
	start()
	s.Start(nil)
	begin, n := time.Now(), 0
	for ; time.Since(begin) < 1500*time.Millisecond; n++ {
		s.Observe(dag.Event{Execution: step(n%500, dag.Running)})
		if n%100 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	limit := int(time.Since(begin)/pause) + 3 // each with the erasing of what is below, and of the last tree
	term := end(false)
	if term.Redraws < 2 || term.Redraws > limit {
		t.Errorf("%d frames for %d events, want 2 to %d", term.Redraws, n, limit)
	}
	if got := strings.TrimSpace(term.Text()); got != "" {
		t.Errorf("something was left:\n%s", got)
	}
}

// A run that is over at once draws nothing; what was printed is there.
func TestShortRun(t *testing.T) {
	t.Parallel()
	s, start, end := onPty(t)
	start()
	fmt.Fprintln(s, "before")
	s.Start(nil)
	s.Observe(dag.Event{Execution: step(0, dag.Succeeded)})
	fmt.Fprintln(s, "a note")
	s.Close(false)
	fmt.Fprintln(s, "after")
	if term := end(false); term.Redraws > 2 || term.Text() != "before\na note\nafter\n" {
		t.Errorf("%d times erased:\n%s", term.Redraws, term.Text())
	}
}

// A person who stops the terminal (Ctrl-S) does not stop the run, and misses
// nothing.
func TestStoppedTerminal(t *testing.T) {
	t.Parallel()
	s, start, end := onPty(t)
	s.Start(nil)
	const notes = 20000 // more than the kernel keeps
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range notes {
			fmt.Fprintf(s, "note %d\n", i)
			s.Observe(dag.Event{Execution: step(i, dag.Running)})
			if i%5000 == 0 {
				time.Sleep(firstFrame)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the run waits for the terminal")
	}
	start()
	if n := strings.Count(end(false).Text(), "note "); n != notes {
		t.Errorf("%d of %d notes were printed", n, notes)
	}
}

// The last line of a step's log is shown below it; of one that writes without end
// only a little is read.
func TestTails(t *testing.T) {
	t.Parallel()
	s, start, end := onPty(t)
	start()
	var read atomic.Int64
	s.Start(func(ctx context.Context, pod string, o runner.LogOptions) iter.Seq2[runner.Line, error] {
		return func(yield func(runner.Line, error) bool) {
			if pod == "step-0" {
				yield(runner.Line{Text: []byte("epoch 1\x1b[2J")}, nil)
				yield(runner.Line{Text: []byte("  }")}, nil)
				<-ctx.Done()
				return
			}
			for i := 0; ctx.Err() == nil; i++ {
				read.Add(1)
				if !yield(runner.Line{Text: fmt.Appendf(nil, "line %d", i)}, nil) {
					return
				}
			}
		}
	})
	for i := range 2 {
		x := step(i, dag.Running)
		x.Started = x.Started.Add(-time.Minute)
		s.Observe(dag.Event{Execution: x})
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		lines := strings.Join(s.model.View(time.Now(), 80, 24).Lines, "\n")
		s.mu.Unlock()
		if strings.Contains(lines, "    │ epoch 1\n") && strings.Contains(lines, "    │ line ") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the tails are not shown:\n%s", lines)
		}
	}
	time.Sleep(time.Second) // what writes without end is read on
	got := end(true).Text()
	if want := "▸ step-0  1m"; !strings.Contains(got, want) || strings.Contains(got, "│") {
		t.Errorf("want %q and no tail of what does not run any more:\n%s", want, got)
	}
	if n := read.Load(); n == 0 || n > 3*linesPerSecond {
		t.Errorf("%d lines were read", n)
	}
}

func TestReflows(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{"TERM": "xterm-256color"}, true},
		{map[string]string{"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(390)"}, false},
		{map[string]string{"TERM": "linux"}, false},
		{map[string]string{"TERM": "screen", "STY": "1.pts"}, false},
		{map[string]string{"TERM": "screen", "TMUX": "/tmp/tmux", "XTERM_VERSION": "XTerm(390)"}, true},
	} {
		if got := Reflows(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
