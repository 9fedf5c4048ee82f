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
