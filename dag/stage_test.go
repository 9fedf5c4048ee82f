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
