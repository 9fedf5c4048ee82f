package dag

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestDriveCancel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(s *stage, r *Run)
		after time.Duration
		want  string
	}{
		{"while running", func(s *stage, _ *Run) { s.lasts(time.Hour) }, 5 * time.Second, "a CANCELED (the run was canceled)\nb SKIPPED (the run was canceled)"},
		{"while it waits for room", func(s *stage, r *Run) {
			s.lasts(time.Hour)
			r.Pipeline = steps("a b")
			r.Options.MaxParallel = 1
		}, 5 * time.Second, "a CANCELED (the run was canceled)\nb SKIPPED (the run was canceled)"},
		{"during a backoff", func(s *stage, r *Run) {
			s.exits(func(string, int) runner.Exit { return exit1 })
			r.Pipeline.Components["step"].Pod.Retry = &Retry{Limit: 3, Backoff: time.Hour}
		}, 5 * time.Second, "a CANCELED (the run was canceled)\nb SKIPPED (the run was canceled)"},
		{"while it pulls", func(s *stage, _ *Run) { s.backend.pull = time.Hour }, 5 * time.Second, "a SKIPPED (the run was canceled)\nb SKIPPED (the run was canceled)"},
		{"after one has ended", func(*stage, *Run) {}, 1500 * time.Millisecond, "a SUCCEEDED (caching is off for this task)\nb CANCELED (the run was canceled)"},
		{"in a graph", func(s *stage, r *Run) {
			s.backend.pull = 2 * time.Second
			r.Pipeline.Components["inner"] = r.Pipeline.Components["root"]
			r.Pipeline.Components["inner"].Graph.Tasks["b"].Component = "other"
			r.Pipeline.Components["other"] = &Component{Name: "other", Pod: &Pod{Containers: []Container{{Image: Literal("img2")}}}}
			r.Pipeline.Components["root"] = &Component{Name: "root", Graph: &Graph{Tasks: map[string]*Task{"g": {Name: "g", Component: "inner"}}}}
		}, 4 * time.Second, "g CANCELED (the run was canceled)\ng/a SUCCEEDED (caching is off for this task)\ng/b SKIPPED (the run was canceled)"},
	} {
		for _, how := range []string{"Ctrl-C", "another process"} {
			t.Run(tt.name+", by "+how, func(t *testing.T) {
				play(t, func(s *stage) {
					s.create("r1", steps("a b<-a"), func(r *Run) { tt.set(s, r) })
					ctx, stop := context.WithCancel(s.t.Context())
					defer stop()
					time.AfterFunc(tt.after, func() {
						if how == "Ctrl-C" {
							stop()
							return
						}
						s.store.mu.Lock()
						s.store.runs["r1"].Cancel = true
						s.store.mu.Unlock()
					})
					start := time.Now()
					run, got, err := s.driveCtx(ctx, "r1")
					if err != nil || run.State != Canceled {
						s.t.Errorf("run %s, %v", run.State, err)
					}
					for _, x := range got {
						x.Reason = orElse(x.Error, x.Reason)
					}
					if states(got) != tt.want {
						s.t.Errorf("got\n%s\nwant\n%s", states(got), tt.want)
					}
					if d := time.Since(start); d > tt.after+time.Second {
						s.t.Errorf("canceled after %s, it ended after %s", tt.after, d)
					}
					s.clean()
				})
			})
		}
	}
}

// stubborn ends only when it is killed.
type stubborn struct {
	*scripted
	mu     sync.Mutex
	graces []time.Duration
}

func (b *stubborn) Stop(ctx context.Context, pod string, grace time.Duration) error {
	b.mu.Lock()
	b.graces = append(b.graces, grace)
	b.mu.Unlock()
	select {
	case <-time.After(grace):
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.scripted.Stop(ctx, pod, grace)
}

func TestDriveKill(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(time.Hour)
		s.create("r1", steps("a"), func(r *Run) { r.Options.Grace = time.Minute })
		ctx, stop := context.WithCancel(s.t.Context())
		time.AfterFunc(2*time.Second, stop)
		time.AfterFunc(4*time.Second, func() { close(s.kill) })
		d := s.driver("r1")
		b := &stubborn{scripted: s.backend}
		d.Backend = b
		start := time.Now()
		run, _, err := d.Drive(ctx, "r1")
		if err != nil || run.State != Canceled {
			s.t.Errorf("run %s, %v", run.State, err)
		}
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second {
			s.t.Errorf("killed after 4 s, it ended after %s", took)
		}
		if want := []time.Duration{time.Minute, 0}; !slices.Equal(b.graces, want) {
			s.t.Errorf("graces %v, want %v", b.graces, want)
		}
		s.clean()
	})
}

func TestDriveDeadline(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.exit = func(pod runner.Pod, _ int) (time.Duration, runner.Exit) {
			return pod.Deadline, runner.Exit{Cause: runner.CauseDeadline, Code: 143}
		}
		p := steps("a b")
		p.Components["step"].Pod.Timeout = time.Minute
		p.Components["root"].Graph.Tasks["b"].Timeout = 5 * time.Second
		s.create("r1", p)
		start := time.Now()
		_, got := s.drive("r1")
		if d := time.Since(start); d != time.Minute {
			s.t.Errorf("it took %s", d)
		}
		want := "a FAILED (stopped: it ran longer than its limit of 1m0s)\nb FAILED (stopped: it ran longer than its limit of 5s)"
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		s.clean()
	})
}
