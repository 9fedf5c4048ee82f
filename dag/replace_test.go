package dag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// relay drives runs that replace each other.
type relay struct {
	*stage
	done    sync.WaitGroup
	ctx     context.Context
	replace chan *Replacement // of the newest
	change  func(*Driver)
}

// versions is steps(text) with caching, each task with a component of its own; the
// command of those that are named differs.
func versions(text, version string, changed ...string) *Pipeline {
	p := steps(text)
	for name, t := range p.Components["root"].Graph.Tasks {
		command := name
		if slices.Contains(changed, name) {
			command += version
		}
		t.Cache, t.Component = true, name
		p.Components[name] = &Component{Name: name, Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args(command)}}}}
	}
	delete(p.Components, "step")
	return p
}

// next begins a run in the place of the one before.
func (r *relay) next(id string, p *Pipeline, change ...func(*Run)) {
	r.t.Helper()
	r.create(id, p, change...)
	d := r.driver(id)
	d.Observe = nil
	if r.change != nil {
		r.change(d)
	}
	if r.replace != nil {
		d.Replaces = NewReplacement()
		r.replace <- d.Replaces
		<-d.Replaces.Ready()
	}
	r.replace = make(chan *Replacement, 1)
	d.Replace = r.replace
	r.done.Go(func() {
		if _, _, err := d.Drive(r.ctx, id); err != nil {
			r.t.Errorf("%s: %v", id, err)
		}
	})
}

// ends waits for all runs, and says how the tasks of one have ended.
func (r *relay) states(id string) string {
	r.t.Helper()
	r.done.Wait()
	run, executions, err := r.store.LoadRun(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	out := string(run.State) + ":"
	for _, x := range executions {
		word := string(x.State)
		if x.Cached {
			word = "cached"
		}
		out += fmt.Sprintf(" %s %s", x.Task, word)
	}
	return out
}

func (r *relay) expect(id, want string) {
	r.t.Helper()
	if got := r.states(id); got != want {
		r.t.Errorf("%s: got  %s\nwant %s", id, got, want)
	}
}

// replay lets every step run for ten seconds.
func replay(t *testing.T, f func(r *relay)) {
	play(t, func(s *stage) {
		s.lasts(10 * time.Second)
		f(&relay{stage: s, ctx: s.t.Context()})
		s.clean()
	})
}

// What a newer run would do as well goes on; what is outdated is stopped at once.
func TestReplaceKeepsWhatIsWanted(t *testing.T) {
	replay(t, func(r *relay) {
		start := time.Now()
		r.next("r1", versions("a b c<-a", ""))
		time.Sleep(5 * time.Second)
		r.next("r2", versions("a b c<-a", "2", "b"))
		r.expect("r1", "CANCELED: a SUCCEEDED b CANCELED c SKIPPED")
		r.expect("r2", "SUCCEEDED: a cached b SUCCEEDED c SUCCEEDED")
		if took := time.Since(start); took > 20500*time.Millisecond {
			t.Errorf("it took %s, want 20 s: a goes on, c after it", took)
		}
	})
}

// So it does where the older run was taken up from a driver that is gone, and is to give
// way before it has found the images of what runs.
func TestReplaceTakenUp(t *testing.T) {
	replay(t, func(r *relay) {
		ctx, hangup := context.WithCancelCause(r.ctx)
		r.create("r1", versions("a b", ""))
		time.AfterFunc(5*time.Second, func() { hangup(ErrHangup) })
		if _, _, err := r.driveCtx(ctx, "r1"); !errors.Is(err, ErrHangup) {
			t.Fatal(err)
		}
		r.backend.pull = 100 * time.Millisecond
		d := r.driver("r1")
		r.replace = make(chan *Replacement, 1)
		d.Observe, d.Replace = nil, r.replace
		r.done.Go(func() {
			if _, _, err := d.Drive(r.ctx, "r1"); err != nil {
				t.Errorf("r1: %v", err)
			}
		})
		r.next("r2", versions("a b", "2", "b"))
		r.expect("r1", "CANCELED: a SUCCEEDED b CANCELED")
		r.expect("r2", "SUCCEEDED: a cached b SUCCEEDED")
	})
}

// A step that depends on what runs again is stopped before that begins.
func TestReplaceStopsDependents(t *testing.T) {
	replay(t, func(r *relay) {
		r.next("r1", versions("a c<-a d<-c other", ""))
		time.Sleep(15 * time.Second) // c runs
		r.next("r2", versions("a c<-a d<-c other", "2", "a"))
		time.Sleep(time.Second)
		r.backend.mu.Lock()
		n := r.backend.running
		r.backend.mu.Unlock()
		if n != 1 {
			t.Errorf("%d pods run, want a alone", n)
		}
		r.expect("r1", "CANCELED: a SUCCEEDED c CANCELED d SKIPPED other SUCCEEDED")
		r.expect("r2", "SUCCEEDED: a SUCCEEDED c SUCCEEDED d SUCCEEDED other cached")
	})
}

// A task that is no more is stopped, and what is saved twice is kept twice.
func TestReplaceAgainAndAgain(t *testing.T) {
	replay(t, func(r *relay) {
		start := time.Now()
		r.next("r1", versions("a b gone", ""))
		time.Sleep(3 * time.Second)
		r.next("r2", versions("a b", "2", "b"))
		time.Sleep(3 * time.Second)
		r.next("r3", versions("a b", "3", "b"))
		r.expect("r1", "CANCELED: a SUCCEEDED b CANCELED gone CANCELED")
		r.expect("r2", "CANCELED: a SKIPPED b CANCELED")
		r.expect("r3", "SUCCEEDED: a cached b SUCCEEDED")
		if took := time.Since(start); took > 16500*time.Millisecond {
			t.Errorf("it took %s, want 16 s", took)
		}
	})
}

// Ctrl-C stops the newer run, and what the older one still runs for it.
func TestReplaceAndCancel(t *testing.T) {
	replay(t, func(r *relay) {
		ctx, cancel := context.WithCancel(r.ctx)
		r.ctx = ctx
		start := time.Now()
		r.next("r1", versions("a b", ""))
		time.Sleep(3 * time.Second)
		r.next("r2", versions("a b", "2", "b"))
		time.Sleep(3 * time.Second)
		cancel()
		r.expect("r1", "CANCELED: a CANCELED b CANCELED")
		r.expect("r2", "CANCELED: a SKIPPED b CANCELED")
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("it took %s, want 6 s", took)
		}
	})
}

// A step that fails for the older run runs again for the newer; so does one whose
// results are never reused.
func TestReplaceDoesNotTrustFailures(t *testing.T) {
	replay(t, func(r *relay) {
		r.backend.exit = func(pod runner.Pod, _ int) (time.Duration, runner.Exit) {
			if pod.Labels[runner.LabelRun] == "r1" {
				return 10 * time.Second, exit1
			}
			return 10 * time.Second, exit0
		}
		uncached := versions("a u", "2")
		uncached.Components["root"].Graph.Tasks["u"].Cache = false
		first := versions("a u", "2")
		first.Components["root"].Graph.Tasks["u"].Cache = false
		r.next("r1", first)
		time.Sleep(5 * time.Second)
		r.next("r2", uncached)
		r.expect("r1", "CANCELED: a CANCELED u CANCELED")
		r.expect("r2", "SUCCEEDED: a SUCCEEDED u SUCCEEDED")
	})
}

// Of a mounted folder what a step has read so far decides; what it reads later is seen
// when it has ended.
func TestReplaceReads(t *testing.T) {
	for name, c := range map[string]struct {
		sofar, later []string
		want         string
	}{
		"not read":   {[]string{"a.py"}, []string{"a.py"}, "SUCCEEDED: a cached"},
		"read":       {[]string{"b.py"}, []string{"b.py"}, "SUCCEEDED: a SUCCEEDED"},
		"read later": {[]string{"a.py"}, []string{"a.py", "b.py"}, "SUCCEEDED: a SUCCEEDED"},
	} {
		t.Run(name, func(t *testing.T) {
			replay(t, func(r *relay) {
				store := &trees{dir: r.home, opened: c.sofar, files: map[string]map[string]string{
					"t1": {"a.py": "a", "b.py": "b"}, "t2": {"a.py": "a", "b.py": "B"},
				}}
				r.change = func(d *Driver) { d.Backend, d.Artifacts = seeing{r.backend}, store }
				mount := func(tree string) func(*Run) {
					return func(run *Run) {
						run.Options.Mounts = []Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: tree}}
					}
				}
				start := time.Now()
				r.next("r1", versions("a", ""), mount("t1"))
				time.Sleep(5 * time.Second)
				r.next("r2", versions("a", ""), mount("t2"))
				time.Sleep(time.Second)
				store.mu.Lock()
				store.opened = c.later
				store.mu.Unlock()
				r.expect("r2", c.want)
				if took := time.Since(start); took > 18*time.Second {
					t.Errorf("it took %s: an outdated step was waited for to its end", took)
				}
			})
		})
	}
}
