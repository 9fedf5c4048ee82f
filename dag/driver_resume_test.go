package dag

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// TestDriveResume asserts that pods that ended while no driver was there are
// collected, not started again.
func TestDriveResume(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.outputs = func(runner.Pod) map[string]string {
			return map[string]string{"artifact:table": "rows", "parameter:0:score": "7"}
		}
		s.lasts(10 * time.Second)
		s.create("r1", tuned(), func(r *Run) { r.Parameters = map[string]any{"lr": 0.1} })
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(5*time.Second, func() { hangup(ErrHangup) })
		run, got, err := s.driveCtx(ctx, "r1")
		if !errors.Is(err, ErrHangup) || run.State != Running || got["load"].State != Running || got["load"].Attempts[0].State != Running {
			s.t.Fatalf("hung up: %v, run %s, load %+v", err, run.State, got["load"])
		}
		time.Sleep(time.Hour) // load ends meanwhile
		start := time.Now()
		run, got = s.drive("r1")
		if run.State != Succeeded || len(s.backend.starts) != 2 || len(got["load"].Attempts) != 1 || got["load"].Outputs.Artifacts["table"][0].Digest != "sha256:rows" {
			s.t.Errorf("resumed: %s, pods %v, load %+v", run.State, s.backend.starts, got["load"])
		}
		if d := time.Since(start); d > 11*time.Second {
			s.t.Errorf("what was left, 10 s, took %s", d)
		}
		if run, _ = s.drive("r1"); run.State != Succeeded || len(s.backend.starts) != 2 {
			s.t.Errorf("driven again after its end: %s, pods %v", run.State, s.backend.starts)
		}
		s.clean()
	})
}

// TestDriveResumeLost asserts that a pod that vanished while no driver was there is
// an attempt LOST and not a success.
func TestDriveResumeLost(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(10 * time.Second)
		s.create("r1", steps("a"))
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(5*time.Second, func() { hangup(ErrHangup) })
		_, got, _ := s.driveCtx(ctx, "r1")
		if err := s.backend.Remove(s.t.Context(), got["a"].Attempts[0].Pod); err != nil {
			s.t.Fatal(err)
		}
		run, got := s.drive("r1")
		if a := got["a"].Attempts; run.State != Succeeded || len(a) != 2 || a[0].State != Lost || a[0].Error != "it was gone when the run was resumed" || a[1].State != Succeeded {
			s.t.Errorf("run %s, attempts %+v", run.State, a)
		}
		s.clean()
	})
}

// TestDriveResumeBackoff asserts that a resumed run waits for what is left of a
// pause, not for all of it again.
func TestDriveResumeBackoff(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(_ string, attempt int) runner.Exit {
			if attempt == 1 {
				return exit1
			}
			return exit0
		})
		p := steps("a")
		p.Components["step"].Pod.Retry = &Retry{Limit: 1, Backoff: time.Minute}
		s.create("r1", p)
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(11*time.Second, func() { hangup(ErrHangup) })
		if _, _, err := s.driveCtx(ctx, "r1"); !errors.Is(err, ErrHangup) {
			s.t.Fatal(err)
		}
		start := time.Now()
		run, got := s.drive("r1")
		if run.State != Succeeded || got["a"].Retries != 1 {
			s.t.Errorf("run %s, %+v", run.State, got["a"])
		}
		if d := time.Since(start); d < 50*time.Second || d > 53*time.Second {
			s.t.Errorf("50 s of the pause were left, and a second of work; it took %s", d)
		}
		s.clean()
	})
}
