package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

// memStore is a Store and a queue.Store in memory. What goes in and out is
// copied, as by a database. After crash, every call fails until it is healed.
type memStore struct {
	mu         sync.Mutex
	runs       map[string]*Run
	executions map[int64]*Execution
	cache      map[string]int64
	parts      map[string]map[string]string
	admissions map[string]queue.Admission
	seq, next  int64
	crashIn    int  // commits until a crash; -1: none
	crashLate  bool // the crash comes just after that commit
	crashed    bool
	commits    int
	ends       map[int64]int // how often an execution was committed as ended
	epochs     map[string]int64
}

var errCrash = errors.New("simulated crash")

func newMemStore() *memStore {
	return &memStore{
		runs: map[string]*Run{}, executions: map[int64]*Execution{}, cache: map[string]int64{}, parts: map[string]map[string]string{},
		admissions: map[string]queue.Admission{}, crashIn: -1, ends: map[int64]int{}, epochs: map[string]int64{},
	}
}

func copyOf[T any](x *T) *T {
	text, err := json.Marshal(x)
	if err != nil {
		panic(err)
	}
	out := new(T)
	if err := json.Unmarshal(text, out); err != nil {
		panic(err)
	}
	return out
}

func (s *memStore) Own(_ context.Context, run string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epochs[run]++
	return s.epochs[run], nil
}

func (s *memStore) Owns(_ context.Context, run string, epoch int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epochs[run] != epoch {
		return &TakenOverError{Run: run}
	}
	return nil
}

func (s *memStore) CreateRun(_ context.Context, r *Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[r.ID] = copyOf(r)
	return nil
}

func (s *memStore) LoadRun(_ context.Context, id string) (*Run, []*Execution, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[id]
	if !ok {
		return nil, nil, ErrNotFound
	}
	var list []*Execution
	for _, id := range slices.Sorted(maps.Keys(s.executions)) {
		if x := s.executions[id]; x.Run == r.ID {
			list = append(list, copyOf(x))
		}
	}
	return copyOf(r), list, nil
}

func (s *memStore) Commit(_ context.Context, b *Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	if b.Epoch != 0 && b.Epoch != s.epochs[batchRun(b)] {
		return &TakenOverError{Run: batchRun(b)}
	}
	if s.crashIn--; s.crashIn == 0 {
		s.crashed = true
		if s.crashLate {
			s.write(b)
		}
	}
	if s.crashed {
		return errCrash
	}
	s.write(b)
	return nil
}

func batchRun(b *Batch) string {
	if b.Run != nil {
		return b.Run.ID
	}
	return b.Executions[0].Run
}

func (s *memStore) write(b *Batch) {
	if b.Run != nil {
		s.runs[b.Run.ID] = copyOf(b.Run)
	}
	for _, x := range b.Executions {
		if x.ID == 0 {
			s.next++
			x.ID = s.next
		}
		if before := s.executions[x.ID]; x.State.Ended() && (before == nil || !before.State.Ended()) {
			s.ends[x.ID]++
		} else if before != nil && before.State.Ended() && before.State != x.State {
			panic(fmt.Sprintf("execution %s went from %s to %s", x.Path, before.State, x.State))
		}
		s.executions[x.ID] = copyOf(x)
		if x.Key != "" {
			s.parts[x.Path] = x.KeyParts
		}
		if x.State == Succeeded && x.Key != "" && !x.Cached {
			s.cache[x.Key] = x.ID
		}
	}
}

func (s *memStore) LookupCache(_ context.Context, key string) (*CacheEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.cache[key]
	if !ok {
		return nil, ErrNotFound
	}
	x := copyOf(s.executions[id])
	return &CacheEntry{Execution: id, Run: x.Run, Outputs: x.Outputs}, nil
}

func (s *memStore) PastReads(_ context.Context, base string) ([]PastReads, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PastReads
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.executions))) {
		if x := s.executions[id]; x.State == Succeeded && !x.Cached && x.Reads != nil && x.Reads.Base == base {
			out = append(out, PastReads{Execution: id, Run: x.Run, Key: x.Key, Sources: x.Reads.Sources})
		}
	}
	return out, nil
}

func (s *memStore) LastKeyParts(_ context.Context, _, path string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.parts[path]; ok {
		return p, nil
	}
	return nil, ErrNotFound
}

func (s *memStore) ArtifactsAt(_ context.Context, uri string) ([]Artifact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Artifact
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.executions))) {
		x := copyOf(s.executions[id])
		for _, list := range x.Outputs.Artifacts {
			if x.State == Succeeded && list[0].URI == uri {
				found = append(found, list[0])
			}
		}
	}
	return found, nil
}

func (s *memStore) CancelRequested(_ context.Context, run string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[run].Cancel, nil
}

func (s *memStore) UpdateAdmissions(_ context.Context, _ string, decide func([]queue.Admission) queue.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed {
		return errCrash
	}
	rows := slices.SortedFunc(maps.Values(s.admissions), func(a, b queue.Admission) int { return int(a.Seq - b.Seq) })
	c := decide(rows)
	for _, a := range c.Put {
		if a.Seq == 0 {
			s.seq++
			a.Seq = s.seq
		}
		s.admissions[a.Pod] = a
	}
	for _, pod := range c.Delete {
		delete(s.admissions, pod)
	}
	return nil
}

// noArtifacts is an artifact store for pods that write none.
type noArtifacts struct{}

func (noArtifacts) Add(context.Context, string) (string, int64, error) { return "", 0, fs.ErrNotExist }
func (a noArtifacts) Check(_ context.Context, digest string) error {
	_, err := a.Path(digest)
	return err
}
func (noArtifacts) Path(string) (string, error)                        { return "", fs.ErrNotExist }
func (noArtifacts) Link(string, string) error                          { return nil }
func (noArtifacts) View(context.Context, string, string) (View, error) { return nil, ErrNoView }
func (noArtifacts) Files(context.Context, string) (map[string]string, error) {
	return nil, fs.ErrNotExist
}
func (noArtifacts) ReadDigest(context.Context, string, []string) (string, error) {
	return "", fs.ErrNotExist
}
func (noArtifacts) LiveDigest(context.Context, []Mount, int) (string, error) {
	return "", fs.ErrNotExist
}
func (noArtifacts) LiveChanges(context.Context, string, string) ([]LiveChange, error) {
	return nil, fs.ErrNotExist
}
func (noArtifacts) Import(context.Context, string) (string, int64, error) {
	return "sha256:0", 1, nil
}
func (noArtifacts) Context(context.Context, string, string) (string, error) { return "sha256:0", nil }
func (noArtifacts) Fetch(context.Context, string, func(done, total int64)) (string, int64, error) {
	return "sha256:1", 1, nil
}

// fakeBackend is a seeded engine in memory that outlives drivers. Times are those
// of the synctest bubble.
type fakeBackend struct {
	mu       sync.Mutex
	rng      *rand.Rand
	pods     map[string]*fakePod
	starts   map[string]int // by pod name: how often it was started
	watchers map[chan runner.Status]bool
	running  int
	most     int // pods that ran at once

	exit   func(pod runner.Pod, start int) (time.Duration, runner.Exit)
	away   float64 // probability that a call finds the engine away
	vanish float64 // probability that a pod is gone instead of ending
}

type fakePod struct {
	pod   runner.Pod
	phase runner.Phase
	exit  runner.Exit
	stop  chan struct{}
}

func newFakeBackend(rng *rand.Rand) *fakeBackend {
	return &fakeBackend{
		rng: rng, pods: map[string]*fakePod{}, starts: map[string]int{}, watchers: map[chan runner.Status]bool{},
		exit: func(runner.Pod, int) (time.Duration, runner.Exit) {
			return time.Second, runner.Exit{Cause: runner.CauseCompleted}
		},
	}
}

func (f *fakeBackend) Features() runner.Features {
	return runner.Features{Name: "fake", Images: true, Isolation: true, Limits: true, SeparateStreams: true}
}
func (f *fakeBackend) Ping(context.Context) error { return nil }
func (f *fakeBackend) Resolve(_ context.Context, image string, _ runner.ResolveOptions) (runner.Image, error) {
	if image == "missing" {
		return runner.Image{}, &runner.ImageError{Image: image, Err: errors.New("not found"), Mend: "docker load"}
	}
	return runner.Image{Name: image, Ref: image, Identity: "sha256:" + image}, nil
}

func (f *fakeBackend) isAway() error {
	if f.away > 0 && f.rng.Float64() < f.away {
		return &runner.UnavailableError{Backend: "fake", Err: errors.New("connection refused")}
	}
	return nil
}

func (f *fakeBackend) Ensure(_ context.Context, gang []runner.Pod) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.isAway(); err != nil {
		return err
	}
	for _, pod := range gang {
		if _, ok := f.pods[pod.Name]; ok {
			continue
		}
		p := &fakePod{pod: pod, phase: runner.PhaseRunning, stop: make(chan struct{}, 1)}
		f.pods[pod.Name] = p
		f.starts[pod.Name]++
		f.running++
		f.most = max(f.most, f.running)
		f.tell(p)
		after, exit := f.exit(pod, f.starts[pod.Name])
		gone := f.rng.Float64() < f.vanish
		go f.live(p, after, exit, gone)
	}
	return nil
}

func (f *fakeBackend) live(p *fakePod, after time.Duration, exit runner.Exit, gone bool) {
	select {
	case <-time.After(after):
	case <-p.stop:
		exit, gone = runner.Exit{Cause: runner.CauseStopped, Code: 143}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.phase != runner.PhaseRunning {
		return
	}
	f.running--
	p.phase, p.exit = runner.PhaseEnded, exit
	if gone {
		p.phase, p.exit = runner.PhaseGone, runner.Exit{Cause: runner.CauseLost}
		delete(f.pods, p.pod.Name)
	}
	f.tell(p)
}

// tell is called with f.mu held.
func (f *fakeBackend) tell(p *fakePod) {
	for w := range f.watchers {
		w <- p.status()
	}
}

func (p *fakePod) status() runner.Status {
	return runner.Status{Pod: p.pod.Name, Labels: p.pod.Labels, Phase: p.phase, Exit: p.exit}
}

func (f *fakeBackend) Watch(ctx context.Context) iter.Seq2[runner.Status, error] {
	return func(yield func(runner.Status, error) bool) {
		f.mu.Lock()
		events := make(chan runner.Status, 10_000)
		for _, p := range f.pods {
			events <- p.status()
		}
		events <- runner.Status{Synced: true}
		f.watchers[events] = true
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			delete(f.watchers, events)
			f.mu.Unlock()
		}()
		for {
			select {
			case s := <-events:
				if !yield(s, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *fakeBackend) Logs(context.Context, string, runner.LogOptions) iter.Seq2[runner.Line, error] {
	return func(func(runner.Line, error) bool) {}
}

func (f *fakeBackend) Collect(_ context.Context, pod runner.Pod, _ runner.Sink) (runner.Exit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.isAway(); err != nil {
		return runner.Exit{}, err
	}
	p, ok := f.pods[pod.Name]
	if !ok {
		return runner.Exit{}, runner.ErrLost
	}
	return p.exit, nil
}

func (f *fakeBackend) Exec(context.Context, string, string, runner.ExecSpec) (runner.Exit, error) {
	return runner.Exit{}, errors.ErrUnsupported
}
func (f *fakeBackend) Dial(context.Context, string, int) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (f *fakeBackend) Stop(_ context.Context, pod string, _ time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.pods[pod]; ok {
		select {
		case p.stop <- struct{}{}:
		default:
		}
	}
	return nil
}

func (f *fakeBackend) Remove(_ context.Context, pod string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.pods[pod]; ok && p.phase == runner.PhaseRunning {
		p.phase = runner.PhaseGone
		f.running--
		p.stop <- struct{}{}
	}
	delete(f.pods, pod)
	return nil
}

func (f *fakeBackend) Capacity(context.Context) (runner.Capacity, error) {
	return runner.Capacity{CPU: 4000, Memory: 8 << 30, Pods: 8}, nil
}

func (s *memStore) DeleteAdmissions(_ context.Context, _ string, pods []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed {
		return errCrash
	}
	for _, pod := range pods {
		delete(s.admissions, pod)
	}
	return nil
}
