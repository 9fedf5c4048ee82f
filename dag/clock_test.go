package dag

import (
	"context"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// TestClockSetBack: while nobody drove a run, the clock was set back by an hour. What
// the run waits for does not take an hour longer.
func TestClockSetBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *stage, p *Pipeline)
		want   State
		most   time.Duration
	}{
		{"a retry", func(s *stage, p *Pipeline) {
			p.Components["root"].Graph.Tasks["a"].Retry = &Retry{Limit: 3, Backoff: 10 * time.Second}
			s.exits(func(_ string, start int) runner.Exit {
				if start == 1 {
					return exit1
				}
				return exit0
			})
		}, Succeeded, 13 * time.Second},
		{"the deadline of the pipeline", func(s *stage, p *Pipeline) {
			p.Deadline = 30 * time.Second
			s.lasts(20 * time.Hour)
		}, Failed, 31 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, func(s *stage) {
				p := steps("a")
				tt.change(s, p)
				s.create("r1", p)
				ctx, hangup := context.WithCancelCause(s.t.Context())
				time.AfterFunc(2*time.Second, func() { hangup(ErrHangup) })
				_, _, _ = s.driveCtx(ctx, "r1")
				s.store.setBack("r1", time.Hour)
				start := time.Now()
				if run, got := s.drive("r1"); run.State != tt.want || time.Since(start) > tt.most {
					s.t.Errorf("run %s after %s:\n%s", run.State, time.Since(start), states(got))
				}
				s.clean()
			})
		})
	}
}

// setBack sets the clock back: what is on record lies in the future then.
func (s *memStore) setBack(id string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shift := func(times ...*time.Time) {
		for _, t := range times {
			if !t.IsZero() {
				*t = t.Add(by)
			}
		}
	}
	run := s.runs[id]
	shift(&run.Created, &run.Started)
	for _, x := range s.executions {
		shift(&x.Created, &x.Started, &x.Ended, &x.RetryAt)
		for _, a := range x.Attempts {
			shift(&a.Started, &a.Ended)
		}
	}
}
