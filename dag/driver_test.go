package dag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

// stage is what a test of the driver has: a store, an engine that outlives
// drivers, and what was observed. All times are those of a synctest bubble.
type stage struct {
	t       *testing.T
	store   *memStore
	backend *scripted
	notes   []string
	patient time.Duration
	kill    chan struct{}
	home    string
	gone    map[string]bool // digests that the artifact store has lost
}

// scripted is the fake engine, with outputs, and away or slow when told so.
type scripted struct {
	*fakeBackend
	outputs func(pod runner.Pod) map[string]string // by Output.Name
	away    atomic.Value                           // string: methods that find the engine away
	pull    time.Duration
	build   func(runner.BuildSpec) error // nil: every build is fine
	builds  []runner.BuildSpec
	cpu     int64
	dir     string
}

func (b *scripted) unless(method string) error {
	if s, _ := b.away.Load().(string); strings.Contains(s, method) {
		return &runner.UnavailableError{Backend: "fake", Err: errors.New("connection refused")}
	}
	return nil
}

func (b *scripted) Ensure(ctx context.Context, gang []runner.Pod) error {
	if err := b.unless("ensure"); err != nil {
		return err
	}
	return b.fakeBackend.Ensure(ctx, gang)
}

func (b *scripted) Resolve(ctx context.Context, image string, o runner.ResolveOptions) (runner.Image, error) {
	select {
	case <-time.After(b.pull):
	case <-ctx.Done():
		return runner.Image{}, ctx.Err()
	}
	if err := b.unless("resolve"); err != nil {
		return runner.Image{}, err
	}
	return b.fakeBackend.Resolve(ctx, image, o)
}

func (b *scripted) Build(_ context.Context, spec runner.BuildSpec, log func(string)) (runner.Image, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.builds = append(b.builds, spec)
	if b.build != nil {
		if err := b.build(spec); err != nil {
			return runner.Image{}, err
		}
	}
	return runner.Image{Name: spec.Name, Ref: spec.Name, Identity: spec.Derivation}, nil
}

func (b *scripted) Watch(ctx context.Context) iter.Seq2[runner.Status, error] {
	return func(yield func(runner.Status, error) bool) {
		if err := b.unless("watch"); err != nil {
			yield(runner.Status{}, err)
			return
		}
		b.fakeBackend.Watch(ctx)(yield)
	}
}

func (b *scripted) Collect(ctx context.Context, pod runner.Pod, to runner.Sink) (runner.Exit, error) {
	if err := b.unless("collect"); err != nil {
		return runner.Exit{}, err
	}
	exit, err := b.fakeBackend.Collect(ctx, pod, to)
	if err != nil || b.outputs == nil {
		return exit, err
	}
	files := b.outputs(pod)
	for _, o := range pod.Outputs {
		text, ok := files[o.Name]
		if !ok {
			continue
		}
		path := filepath.Join(b.dir, pod.Name+filepath.Base(o.Name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return exit, err
		}
		if err := to.Output(o.Name, path); err != nil {
			return exit, err
		}
	}
	return exit, nil
}

func (b *scripted) Remove(ctx context.Context, pod string) error {
	if err := b.unless("remove"); err != nil {
		return err
	}
	return b.fakeBackend.Remove(ctx, pod)
}

func (b *scripted) Capacity(context.Context) (runner.Capacity, error) {
	return runner.Capacity{CPU: b.cpu, Memory: 8 << 30, Pods: 8}, nil
}

// stageArtifacts stores files by content, but for those that are gone.
type stageArtifacts struct {
	someArtifacts
	gone map[string]bool
}

func (a stageArtifacts) Path(digest string) (string, error) {
	if a.gone[digest] {
		return "", fs.ErrNotExist
	}
	return "/store/" + digest, nil
}

func (a stageArtifacts) Check(_ context.Context, digest string) error {
	_, err := a.Path(digest)
	return err
}

// play runs f on a stage, in a bubble.
func play(t *testing.T, f func(s *stage)) {
	t.Helper()
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &scripted{fakeBackend: newFakeBackend(rand.New(rand.NewPCG(1, 2))), dir: home, cpu: 4000}
		f(&stage{t: t, store: newMemStore(), backend: b, home: home, kill: make(chan struct{}), gone: map[string]bool{}})
	})
}

// steps is a pipeline of container tasks: "a b<-a c<-a,b:end".
func steps(text string) *Pipeline {
	g := &Graph{Tasks: map[string]*Task{}}
	for i, s := range strings.Fields(text) {
		name, needs, _ := strings.Cut(s, "<-")
		task := &Task{Name: name, Component: "step", Pos: line(i + 1)}
		for _, dep := range strings.FieldsFunc(needs, func(r rune) bool { return r == ',' }) {
			dep, on, _ := strings.Cut(dep, ":")
			task.Needs = append(task.Needs, Edge{Task: dep, On: Predicate(on)})
		}
		g.Tasks[name] = task
	}
	return &Pipeline{Name: "steps", Root: "root", Components: map[string]*Component{
		"root": {Name: "root", Graph: g},
		"step": {Name: "step", Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("step")}}}},
	}}
}

func (s *stage) create(id string, p *Pipeline, change ...func(*Run)) {
	s.t.Helper()
	if err := Validate(p, testFile()); err != nil {
		s.t.Fatal(err)
	}
	run := &Run{ID: id, Name: id, Pipeline: p, State: Pending, Created: time.Now()}
	for _, f := range change {
		f(run)
	}
	if err := s.store.CreateRun(s.t.Context(), run); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) driver(id string) *Driver {
	capacity, _ := s.backend.Capacity(s.t.Context())
	return &Driver{
		Backend: s.backend, Store: s.store, Artifacts: stageArtifacts{gone: s.gone}, Home: s.home, HomeID: "h", Patience: s.patient, Kill: s.kill,
		Queue: queue.New(s.store, capacity, "fake", id, nil),
		Observe: func(e Event) {
			if e.Note != "" {
				s.notes = append(s.notes, e.Note)
			}
		},
	}
}

// drive drives a run to its end.
func (s *stage) drive(id string) (*Run, map[string]*Execution) {
	s.t.Helper()
	run, byPath, err := s.driveCtx(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return run, byPath
}

func (s *stage) driveCtx(ctx context.Context, id string) (*Run, map[string]*Execution, error) {
	_, told, err := s.driver(id).Drive(ctx, id)
	run, executions, e := s.store.LoadRun(s.t.Context(), id) // what is on record, not what the driver thinks
	if e != nil {
		s.t.Fatal(e)
	}
	byPath := map[string]*Execution{}
	for _, x := range executions {
		byPath[x.Path] = x
	}
	for _, x := range told {
		if on := byPath[x.Path]; on != nil && (on.State != x.State || len(on.Attempts) > 0 && on.Attempts[0].State != x.Attempts[0].State) {
			s.t.Errorf("Drive says %+v, on record is %+v", x, on)
		}
	}
	return run, byPath, err
}

// exits lets every pod of these tasks end so, after a second.
func (s *stage) exits(f func(task string, start int) runner.Exit) {
	s.backend.exit = func(pod runner.Pod, start int) (time.Duration, runner.Exit) {
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		for _, x := range s.store.executions {
			if fmt.Sprint(x.ID) == pod.Labels[runner.LabelExecution] {
				return time.Second, f(x.Task, len(x.Attempts))
			}
		}
		s.t.Errorf("pod %s is not on record", pod.Name)
		return 0, runner.Exit{}
	}
}

// lasts lets every pod run this long.
func (s *stage) lasts(d time.Duration) {
	s.backend.exit = func(runner.Pod, int) (time.Duration, runner.Exit) {
		return d, runner.Exit{Cause: runner.CauseCompleted}
	}
}

func (s *stage) clean() {
	s.t.Helper()
	if n := len(s.backend.pods); n > 0 {
		s.t.Errorf("%d pods were left", n)
	}
	if n := len(s.store.admissions); n > 0 {
		s.t.Errorf("%d admissions were left", n)
	}
}

func states(byPath map[string]*Execution) string {
	var out []string
	for path, x := range byPath {
		text := path + " " + string(x.State)
		if why := orElse(x.Error, x.Reason); why != "" {
			text += " (" + why + ")"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

var (
	exit0 = runner.Exit{Cause: runner.CauseCompleted}
	exit1 = runner.Exit{Cause: runner.CauseError, Code: 1}
)

func TestDriveBranches(t *testing.T) {
	play(t, func(s *stage) {
		s.exits(func(task string, _ int) runner.Exit {
			if task == "bad" {
				return exit1
			}
			return exit0
		})
		s.create("r1", steps("bad after<-bad later<-after other more<-other always<-bad:end mend<-bad:failure both<-bad:failure,more"))
		start := time.Now()
		run, got := s.drive("r1")
		want := `after SKIPPED (bad failed)
always SUCCEEDED (caching is off for this task)
bad FAILED (exit code 1)
both SUCCEEDED (caching is off for this task)
later SKIPPED (after was skipped)
mend SUCCEEDED (caching is off for this task)
more SUCCEEDED (caching is off for this task)
other SUCCEEDED (caching is off for this task)`
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		if run.State != Failed || run.Error != `task "bad" failed: exit code 1` {
			s.t.Errorf("run %s %q", run.State, run.Error)
		}
		if d := time.Since(start); d > 3500*time.Millisecond {
			s.t.Errorf("three steps of a second in a row took %s", d)
		}
		s.clean()
	})
}

// tuned is load -> train, where train has the run's parameter lr and both cache.
func tuned() *Pipeline {
	p := steps("load train<-load")
	p.Components["root"].Inputs.Parameters = map[string]*Parameter{"lr": {Type: TypeDouble}}
	p.Components["train"] = &Component{
		Name: "train", Inputs: Inputs{Parameters: map[string]*Parameter{"lr": {Type: TypeDouble}}, Artifacts: map[string]*ArtifactPort{"table": {}}},
		Outputs: Outputs{Parameters: map[string]*OutputParameter{"score": {Type: TypeInteger}}},
		Pod:     &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("train")}}},
	}
	p.Components["step"].Outputs.Artifacts = map[string]*OutputArtifact{"table": {}}
	p.Components["root"].Outputs.Parameters = map[string]*OutputParameter{"score": {Select: []*Source{{Task: "train", Output: "score"}}}}
	tasks := p.Components["root"].Graph.Tasks
	tasks["train"].Component = "train"
	tasks["train"].Parameters = map[string]*Source{"lr": {Input: "lr"}}
	tasks["train"].Artifacts = map[string]*Source{"table": {Task: "load", Output: "table"}}
	tasks["load"].Cache, tasks["train"].Cache = true, true
	return p
}

func TestDriveCache(t *testing.T) {
	play(t, func(s *stage) {
		table := "rows"
		s.backend.outputs = func(runner.Pod) map[string]string {
			return map[string]string{"artifact:table": table, "parameter:0:score": "7.0"}
		}
		lr := func(x float64) func(*Run) { return func(r *Run) { r.Parameters = map[string]any{"lr": x} } }
		for _, tt := range []struct {
			id     string
			change []func(*Run)
			before func()
			want   string
			starts int
		}{
			{"r1", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (first run)\ntrain SUCCEEDED (first run)", 2},
			{"r2", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (same inputs and code as in run r1)\ntrain SUCCEEDED (same inputs and code as in run r1)", 0},
			{"r3", []func(*Run){lr(0.02)}, nil, "load SUCCEEDED (same inputs and code as in run r1)\ntrain SUCCEEDED (parameter lr: 0.01 -> 0.02)", 1},
			{"r4", []func(*Run){lr(0.01), func(r *Run) { r.Options.Cache = CacheOff }}, nil, "load SUCCEEDED (caching is off (--no-cache))\ntrain SUCCEEDED (caching is off (--no-cache))", 2},
			{"r5", []func(*Run){lr(0.01)}, nil, "load SUCCEEDED (same inputs and code as in run r4)\ntrain SUCCEEDED (same inputs and code as in run r4)", 0},
			{"r6", []func(*Run){lr(0.01), func(r *Run) {
				r.Pipeline.Components["root"].Graph.Tasks["load"].Cache = false
			}}, nil, "load SUCCEEDED (caching is off for this task)\ntrain SUCCEEDED (same inputs and code as in run r4)", 1},
			{"r7", []func(*Run){lr(0.01)}, func() { s.gone["sha256:rows"] = true; table = "more rows" },
				"load SUCCEEDED (output \"table\" of run r4 is gone from the artifact store)\ntrain SUCCEEDED (artifact table: sha256:rows {} -> sha256:more rows {})", 2},
			{"r8", []func(*Run){lr(0.01), func(r *Run) {
				r.Pipeline.Components["step"].Pod.Containers[0].Image = Literal("img2")
			}}, nil, "load SUCCEEDED (image: sha256:img -> sha256:img2)\ntrain SUCCEEDED (same inputs and code as in run r7)", 1},
		} {
			if tt.before != nil {
				tt.before()
			}
			before := len(s.backend.starts)
			s.create(tt.id, tuned(), tt.change...)
			run, got := s.drive(tt.id)
			if states(got) != tt.want {
				s.t.Errorf("%s: got\n%s\nwant\n%s", tt.id, states(got), tt.want)
			}
			if n := len(s.backend.starts) - before; n != tt.starts {
				s.t.Errorf("%s: %d pods were started, want %d", tt.id, n, tt.starts)
			}
			if score := FormatValue(run.Outputs.Parameters["score"]); score != "7" {
				s.t.Errorf("%s: score %s, want 7, cached or not", tt.id, score)
			}
		}
		s.clean()
	})
}

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

func TestDriveMaxParallel(t *testing.T) {
	for _, most := range []int{1, 3, 0} {
		play(t, func(s *stage) {
			s.create("r1", steps("a b c d e f"), func(r *Run) { r.Options.MaxParallel = most })
			start := time.Now()
			run, _ := s.drive("r1")
			want := most
			if most == 0 {
				want = 6
			}
			if run.State != Succeeded || s.backend.most != want {
				s.t.Errorf("max-parallel %d: %s, %d ran at once", most, run.State, s.backend.most)
			}
			rounds := time.Duration((6 + want - 1) / want)
			if d := time.Since(start); d > rounds*time.Second+tick {
				s.t.Errorf("max-parallel %d: %d rounds of a second took %s", most, rounds, d)
			}
		})
	}
}

func TestDriveWaits(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("a b c")
		p.Components["step"].Pod.Containers[0].Resources.CPURequest = Literal("2500m")
		s.create("r1", p)
		run, _ := s.drive("r1")
		if run.State != Succeeded || s.backend.most != 1 {
			s.t.Errorf("run %s, %d ran at once", run.State, s.backend.most)
		}
		slices.Sort(s.notes)
		if len(s.notes) != 2 || !strings.HasPrefix(s.notes[0], "b waits for 2.5 CPU") || !strings.HasPrefix(s.notes[1], "c waits for 2.5 CPU") {
			s.t.Errorf("each that waits is told once: %q", s.notes)
		}
		s.clean()
	})
}

func TestDriveImage(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("a b<-a c")
		p.Components["gone"] = &Component{Name: "gone", Pod: &Pod{Containers: []Container{{Image: Literal("missing")}}, Retry: &Retry{Limit: 2}}}
		p.Components["root"].Graph.Tasks["a"].Component = "gone"
		s.create("r1", p)
		_, got := s.drive("r1")
		want := "a FAILED (image \"missing\" can't be had: not found; try: docker load)\nb SKIPPED (a failed)\nc SUCCEEDED (caching is off for this task)"
		if states(got) != want {
			s.t.Errorf("got\n%s\nwant\n%s", states(got), want)
		}
		s.clean()
	})
}

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

func TestDriveImporter(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("b")
		p.File = "/p/flow.yaml"
		p.Components["import"] = &Component{
			Name: "import", Inputs: Inputs{Parameters: map[string]*Parameter{"uri": {Type: TypeString}}},
			Outputs:  Outputs{Artifacts: map[string]*OutputArtifact{"data": {}}},
			Importer: &Importer{URI: &Source{Input: "uri"}, Type: ArtifactType{Title: "system.Dataset"}, Metadata: &Source{Fields: map[string]*Source{"from": {Input: "uri"}, "n": {Constant: &Constant{int64(3)}}}}},
		}
		tasks := p.Components["root"].Graph.Tasks
		tasks["i"] = &Task{Name: "i", Component: "import", Parameters: map[string]*Source{"uri": {Constant: &Constant{"x.csv"}}}}
		tasks["b"].Needs = []Edge{{Task: "i"}}
		s.create("r1", p)
		_, got := s.drive("r1")
		a := got["i"].Outputs.Artifacts["data"]
		if got["i"].State != Succeeded || len(a) != 1 || a[0].URI != "/p/x.csv" || a[0].Digest != "sha256:0" || a[0].Type != "system.Dataset" || a[0].Metadata["from"] != "x.csv" {
			s.t.Errorf("%+v, %+v", got["i"], a)
		}
		s.clean()
	})
}
