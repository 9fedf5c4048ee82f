package dag

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestDriveRetry(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(task string, attempt int) runner.Exit {
			if task == "b" && attempt == 3 {
				return exit0
			}
			return exit1
		})
		p := steps("a b")
		p.Components["step"].Pod.Retry = &Retry{Limit: 2, Backoff: 10 * time.Second, Factor: 3}
		p.Components["root"].Graph.Tasks["a"].Retry = &Retry{Limit: 1}
		s.create("r1", p)
		start := time.Now()
		_, got := s.drive("r1")
		want := "a FAILED (exit code 1 (after 2 attempts))\nb SUCCEEDED (caching is off for this task)"
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		if d := time.Since(start); d < 43*time.Second || d > 44*time.Second {
			s.t.Errorf("three attempts of 1 s with pauses of 10 s and 30 s took %s", d)
		}
		wantNotes := "a: attempt 1: exit code 1; retry 1 of 1 in 0s\nb: attempt 1: exit code 1; retry 1 of 2 in 10s\nb: attempt 2: exit code 1; retry 2 of 2 in 30s"
		slices.Sort(s.notes)
		if notes := strings.Join(s.notes, "\n"); notes != wantNotes {
			s.t.Errorf("notes\n%s\nwant\n%s", notes, wantNotes)
		}
		s.clean()
	})
}

func TestDriveLost(t *testing.T) {
	lost := runner.Exit{Cause: runner.CauseLost, Message: "the engine restarted"}
	for _, tt := range []struct {
		times, attempts int
		want            string
	}{
		{2, 3, "a SUCCEEDED (caching is off for this task)"},
		{5, 6, "a SUCCEEDED (caching is off for this task)"},
		{99, 6, "a FAILED (the engine restarted (after 6 attempts))"},
	} {
		play(t, func(s *stage) {
			s.exits(func(_ string, attempt int) runner.Exit {
				if attempt <= tt.times {
					return lost
				}
				return exit0
			})
			s.create("r1", steps("a"))
			_, got := s.drive("r1")
			if n := len(got["a"].Attempts); n != tt.attempts || states(got) != tt.want || got["a"].Attempts[0].State != Lost {
				s.t.Errorf("lost %d times: %d attempts, %s; want %d, %s", tt.times, n, states(got), tt.attempts, tt.want)
			}
			if want := "a: attempt 1 was lost (the engine restarted); starting it again"; s.notes[0] != want {
				s.t.Errorf("note %q, want %q", s.notes[0], want)
			}
			s.clean()
		})
	}
}

// TestDriveAway asserts that an engine that stays away ends the drive, that nothing
// is marked as ended, and that the run goes on where it was.
func TestDriveAway(t *testing.T) {
	for _, method := range []string{"ensure", "collect", "watch", "resolve", "remove"} {
		t.Run(method, func(t *testing.T) {
			play(t, func(s *stage) {
				s.backend.away.Store(method)
				s.create("r1", steps("a"))
				start := time.Now()
				run, got, err := s.driveCtx(s.t.Context(), "r1")
				var away *runner.UnavailableError
				if !errors.As(err, &away) {
					s.t.Fatalf("Drive: %v", err)
				}
				if run.State.Ended() {
					s.t.Errorf("the run is %s", run.State)
				}
				for path, x := range got {
					ended := x.State.Ended() || len(x.Attempts) > 0 && x.Attempts[0].State.Ended()
					if ended != (method == "remove") {
						s.t.Errorf("%s is %s, with attempts %+v", path, x.State, x.Attempts)
					}
				}
				if d := time.Since(start); method != "watch" && method != "resolve" && (d < 30*time.Second || d > 34*time.Second) {
					s.t.Errorf("the engine was waited for %s, want 30 s", d)
				}
				s.backend.away.Store("")
				run, got = s.drive("r1")
				if run.State != Succeeded || len(got["a"].Attempts) != 1 {
					s.t.Errorf("resumed: run %s, %d attempts of a", run.State, len(got["a"].Attempts))
				}
				for pod, n := range s.backend.starts {
					if n != 1 {
						s.t.Errorf("%s was started %d times", pod, n)
					}
				}
				s.clean()
			})
		})
	}
}

func TestDriveAwayForAMoment(t *testing.T) {
	play(t, func(s *stage) {
		s.backend.away.Store("ensure collect")
		time.AfterFunc(20*time.Second, func() { s.backend.away.Store("") })
		s.create("r1", steps("a"))
		run, got := s.drive("r1")
		if run.State != Succeeded || len(got["a"].Attempts) != 1 {
			s.t.Errorf("run %s, attempts %+v", run.State, got["a"].Attempts)
		}
		s.clean()
	})
}
