package dag

import (
	"context"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// TestResumeNeedsNoImage asserts that a pod that runs is adopted although its
// image can't be had any more: nothing of it is started again or left behind.
func TestResumeNeedsNoImage(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(10 * time.Second)
		s.create("r1", steps("a"))
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(5*time.Second, func() { hangup(ErrHangup) })
		_, _, _ = s.driveCtx(ctx, "r1")
		s.store.runs["r1"].Pipeline.Components["step"].Pod.Containers[0].Image = Literal("missing")
		run, got := s.drive("r1")
		if run.State != Succeeded || len(got["a"].Attempts) != 1 || len(s.backend.starts) != 1 {
			s.t.Errorf("run %s, a %s (%s), pods %v", run.State, got["a"].State, got["a"].Error, s.backend.starts)
		}
		s.clean()
	})
}

// TestFailFastSkipsWhatWaits asserts that a graph that stops at its first failure
// also stops what only waits for room.
func TestFailFastSkipsWhatWaits(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(string, int) runner.Exit { return exit1 })
		p := steps("a b c")
		p.Components["root"].Graph.FailFast = true
		s.create("r1", p, func(r *Run) { r.Options.MaxParallel = 1 })
		run, got := s.drive("r1")
		if run.State != Failed || got["b"].State != Skipped || got["c"].State != Skipped || len(s.backend.starts) != 1 {
			s.t.Errorf("run %s, pods %v, got\n%s", run.State, s.backend.starts, states(got))
		}
		s.clean()
	})
}

// TestFailFastAfterResume asserts that a driver that takes over knows of the failure that
// stops the graph.
func TestFailFastAfterResume(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(task string, _ int) runner.Exit {
			if task == "a" {
				return exit1
			}
			return exit0
		})
		exit := s.backend.exit
		s.backend.exit = func(pod runner.Pod, start int) (time.Duration, runner.Exit) {
			took, how := exit(pod, start)
			if how.OK() {
				took = 10 * time.Second
			}
			return took, how
		}
		p := steps("a b c<-b")
		p.Components["root"].Graph.FailFast = true
		s.create("r1", p)
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(5*time.Second, func() { hangup(ErrHangup) })
		_, got, _ := s.driveCtx(ctx, "r1")
		if got["a"].State != Failed || got["b"].State != Running || got["c"].State != Pending {
			s.t.Fatalf("hung up with\n%s", states(got))
		}
		run, got := s.drive("r1")
		if run.State != Failed || got["b"].State != Succeeded || got["c"].State != Skipped {
			s.t.Errorf("run %s\n%s", run.State, states(got))
		}
		s.clean()
	})
}

// TestSkipWaitingOfMany asserts that a turn is short in a graph that would stop at its
// first failure, with thousands of tasks that wait for room.
func TestSkipWaitingOfMany(t *testing.T) {
	states := make([]State, 5000)
	for i := range states {
		states[i] = Pending
	}
	s := scopeOf(nil, states...)
	s.comp.Graph.FailFast = true
	d := &drive{}
	for _, n := range s.order {
		n.parent = s
		d.waiting = append(d.waiting, n)
	}
	start := time.Now()
	for range 100 {
		d.skipWaiting()
	}
	if took := time.Since(start); took > time.Second || len(d.waiting) != len(s.order) {
		t.Errorf("100 turns took %s, %d tasks wait", took, len(d.waiting))
	}
}
