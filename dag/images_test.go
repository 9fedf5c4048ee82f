package dag

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// layeredSteps is steps whose command installs a package first.
func layeredSteps(text string, change ...func(*Component)) *Pipeline {
	p := steps(text)
	step := p.Components["step"]
	step.Pod.Containers[0].Command = Args("sh", "-c", "pip install six", "step")
	step.Pod.Containers[0].Layer = &Layer{Installs: [][]string{{"six"}}, Words: 3}
	for _, f := range change {
		f(step)
	}
	for _, t := range p.Components["root"].Graph.Tasks {
		t.Cache = true
	}
	return p
}

// failing fails the first n builds.
func failing(n int) func(runner.BuildSpec) error {
	return func(runner.BuildSpec) error {
		if n--; n >= 0 {
			return &runner.LayerError{Packages: []string{"six"}, On: "img", Lines: []string{"no index"}}
		}
		return nil
	}
}

// TestCachedTaskNeedsNoLayer: what is taken from the cache is not made ready to run.
func TestCachedTaskNeedsNoLayer(t *testing.T) {
	play(t, func(s *stage) {
		s.create("r1", layeredSteps("a b<-a"))
		if run, all := s.drive("r1"); run.State != Succeeded || len(s.backend.builds) != 1 {
			t.Fatalf("%s, built %d times", states(all), len(s.backend.builds))
		}
		s.backend.build = failing(100)
		s.create("r2", layeredSteps("a b<-a"))
		run, all := s.drive("r2")
		if run.State != Succeeded || !all["a"].Cached || !all["b"].Cached || len(s.backend.builds) != 1 {
			t.Errorf("%s, built %d times", states(all), len(s.backend.builds)-1)
		}
		s.clean()
	})
}

// TestRetryLayer: the retry policy covers what pip can't install, as when the step
// itself runs pip. There is one attempt, because one was started.
func TestRetryLayer(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.build = failing(2)
		s.create("r1", layeredSteps("a", func(c *Component) { c.Pod.Retry = &Retry{Limit: 2, Backoff: time.Second} }))
		begin := time.Now()
		run, all := s.drive("r1")
		if a := all["a"]; run.State != Succeeded || a.Retries != 2 || len(a.Attempts) != 1 || time.Since(begin) < 2*time.Second {
			t.Errorf("%s after %d retries, %d attempts and %s", states(all), a.Retries, len(a.Attempts), time.Since(begin))
		}
		s.clean()

		s.backend.build, s.backend.builds = failing(100), nil
		s.create("r2", layeredSteps("b", func(c *Component) { c.Pod.Containers[0].Image = Literal("other"); c.Pod.Retry = &Retry{Limit: 2} }))
		_, all = s.drive("r2")
		want := "b FAILED (install six on img: pip failed (after 3 tries)\n  no index)"
		if states(all) != want || len(all["b"].Attempts) != 0 || len(s.backend.builds) != 3 {
			t.Errorf("built %d times: %s, want %s", len(s.backend.builds), states(all), want)
		}
		s.clean()
	})
}

// TestFailedLayerIsNotRemembered: a later task with the same image and layer tries
// again.
func TestFailedLayerIsNotRemembered(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.build = failing(1)
		s.create("r1", layeredSteps("a b<-a:end"))
		_, all := s.drive("r1")
		if all["a"].State != Failed || all["b"].State != Succeeded {
			t.Error(states(all))
		}
		s.clean()
	})
}

// TestRetryLayerAcrossDrivers: a driver that comes later neither forgets the pause
// nor the count.
func TestRetryLayerAcrossDrivers(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.build = failing(2)
		s.create("r1", layeredSteps("a", func(c *Component) { c.Pod.Retry = &Retry{Limit: 2, Backoff: time.Minute} }))
		begin := time.Now()
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(time.Second, func() { hangup(ErrHangup) })
		if _, all, err := s.driveCtx(ctx, "r1"); err == nil || all["a"].Retries != 1 || all["a"].State != Pending {
			t.Fatalf("%v: %s, %d retries", err, states(all), all["a"].Retries)
		}
		_, all := s.drive("r1")
		if a := all["a"]; a.State != Succeeded || a.Retries != 2 || time.Since(begin) < 2*time.Minute {
			t.Errorf("%s after %s", states(all), time.Since(begin))
		}
		s.clean()
	})
}

// TestCancelWhileLayerRetries ends the task at once, and as never started.
func TestCancelWhileLayerRetries(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.build = failing(100)
		s.create("r1", layeredSteps("a", func(c *Component) { c.Pod.Retry = &Retry{Limit: -1, Backoff: time.Hour} }))
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		run, all, err := s.driveCtx(ctx, "r1")
		if err != nil || run.State != Canceled || all["a"].State != Skipped || time.Since(begin) > time.Minute {
			t.Errorf("%v, %s: %s after %s", err, run.State, states(all), time.Since(begin))
		}
		s.clean()
	})
}

// TestLayerOffline: a run without a network asks for layers that are there.
func TestLayerOffline(t *testing.T) {
	play(t, func(s *stage) {
		s.create("r1", layeredSteps("a"))
		s.create("r2", layeredSteps("a"), func(r *Run) { r.Options.Network, r.Options.Cache = runner.NetworkNone, CacheOff })
		s.drive("r1")
		s.drive("r2")
		if b := s.backend.builds; len(b) != 2 || b[0].Offline || !b[1].Offline {
			s.t.Errorf("%+v", b)
		}
	})
}

// sweeping counts how often it was swept.
type sweeping struct {
	*scripted
	times atomic.Int32
}

func (b *sweeping) Sweep(context.Context) { b.times.Add(1) }

// TestDriverSweeps: what a dead wherry left is swept once in a drive, while a step
// runs.
func TestDriverSweeps(t *testing.T) {
	play(t, func(s *stage) {
		b := &sweeping{scripted: s.backend}
		s.create("r1", steps("a b<-a"))
		d := s.driver("r1")
		d.Backend = b
		if run, _, err := d.Drive(s.t.Context(), "r1"); err != nil || run.State != Succeeded || b.times.Load() != 1 {
			s.t.Errorf("%v, swept %d times", err, b.times.Load())
		}
	})
}
