package tuner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

// memory is a Store in memory, which keeps what a database would: copies.
type memory struct {
	mu       sync.Mutex
	e        string
	state    tuner.Experiment
	trials   map[int]tuner.Trial
	observed map[string]metrics.Observation
	order    []string
	commits  int
	dieAt    int // commit that fails, as all after it; 0: none
}

var errDied = errors.New("the process died")

func (m *memory) CreateExperiment(_ context.Context, e *tuner.Experiment) error {
	text, err := json.Marshal(e)
	m.e, m.state, m.trials, m.observed = string(text), *e, map[int]tuner.Trial{}, map[string]metrics.Observation{}
	return err
}

func (m *memory) LoadExperiment(context.Context, string, bool) (*tuner.Experiment, []*tuner.Trial, []tuner.Observed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &tuner.Experiment{}
	if err := json.Unmarshal([]byte(m.e), e); err != nil {
		return nil, nil, nil, err
	}
	e.ID, e.State, e.Reason, e.Message, e.Created, e.Ended = m.state.ID, m.state.State, m.state.Reason, m.state.Message, m.state.Created, m.state.Ended
	var trials []*tuner.Trial
	for n := range len(m.trials) {
		t := m.trials[n]
		c := tuner.Trial{Number: t.Number, Name: t.Name, State: t.State, Reason: t.Reason, Proposal: t.Proposal, Run: t.Run, Stop: t.Stop,
			Summary: slices.Clone(t.Summary), Created: t.Created, Started: t.Started, Ended: t.Ended}
		trials = append(trials, &c)
	}
	var observed []tuner.Observed
	for _, key := range m.order {
		var o tuner.Observed
		if _, err := fmt.Sscanf(key, "%d %s %d %d", &o.Trial, &o.Stream, &o.Attempt, &o.First); err != nil {
			return nil, nil, nil, err
		}
		o.List = []metrics.Observation{m.observed[key]}
		observed = append(observed, o)
	}
	return e, trials, observed, nil
}

func (m *memory) CommitTrials(_ context.Context, b tuner.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.commits++; m.dieAt > 0 && m.commits >= m.dieAt {
		return errDied
	}
	m.state = *b.Experiment
	for _, t := range b.Trials {
		m.trials[t.Number] = *t
	}
	for _, o := range b.Observed {
		for i, x := range o.List {
			key := fmt.Sprintf("%d %s %d %d", o.Trial, o.Stream, o.Attempt, o.First+int64(i))
			if _, there := m.observed[key]; there {
				return fmt.Errorf("observation %s comes twice", key)
			}
			m.observed[key] = x
			m.order = append(m.order, key)
		}
	}
	return nil
}

// world is a Runner whose runs outlive the process: each prints a few values.
type world struct {
	mu     sync.Mutex
	next   int
	starts map[string]int // by run
	steps  int
	value  func(x float64, step int) float64
	fail   func(number int) bool
	pause  time.Duration
}

func (w *world) NewRun() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return "run" + strconv.Itoa(w.next)
}

func (w *world) Run(ctx context.Context, _ *tuner.Experiment, t, _ *tuner.Trial, observe func(tuner.Observed)) (tuner.Outcome, error) {
	w.mu.Lock()
	w.starts[t.Run]++
	w.mu.Unlock()
	for i := range w.steps { // from its beginning each time, as a log is read
		if ctx.Err() != nil {
			return tuner.Outcome{}, context.Cause(ctx)
		}
		observe(tuner.Observed{Stream: "log", Attempt: 1, First: int64(i), List: []metrics.Observation{{
			Metric: "loss", Value: w.value(t.Proposal.Point[0], i), Step: -1, Time: time.Unix(int64(i), 0),
		}}})
		time.Sleep(w.pause)
	}
	if w.fail != nil && w.fail(t.Number) {
		return tuner.Outcome{Error: "exit code 1", Tail: []string{"boom"}}, nil
	}
	return tuner.Outcome{Succeeded: true}, nil
}

func newWorld() *world {
	return &world{starts: map[string]int{}, steps: 4, value: func(x float64, step int) float64 { return (x-3)*(x-3) + 4 - float64(step) }}
}

func experiment(algorithm string, max, parallel int) *tuner.Experiment {
	return &tuner.Experiment{
		ID: "e", Name: "sweep", Objectives: []tuner.Objective{{Metric: "loss"}}, Algorithm: tuner.Algorithm{Name: algorithm},
		Parameters: []tuner.Parameter{{Name: "x", Kind: suggest.Double, Min: -5, Max: 5}}, Parallel: parallel, MaxTrials: max, State: tuner.Created, Seed: 7,
	}
}

func drive(t *testing.T, m *memory, w *world) (*tuner.Experiment, []*tuner.Trial, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := tuner.Controller{Store: m, Runner: w}
	return c.Drive(ctx, "e")
}

func points(trials []*tuner.Trial) (out []float64) {
	for _, t := range trials {
		out = append(out, t.Proposal.Point[0])
	}
	return out
}

// TestCrashes: whenever the process dies, the next one goes on, and in the end there is
// what an undisturbed experiment has: the same trials, each once, with all values.
func TestCrashes(t *testing.T) {
	calm := &memory{}
	_ = calm.CreateExperiment(t.Context(), experiment("tpe", 14, 1))
	_, want, err := drive(t, calm, newWorld())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		m, w := &memory{}, newWorld()
		_ = m.CreateExperiment(t.Context(), experiment("tpe", 14, 1))
		for {
			m.dieAt = m.commits + 1 + rng.IntN(12)
			e, trials, err := drive(t, m, w)
			if err == nil && e.State == tuner.Succeeded {
				if diff := cmp.Diff(points(want), points(trials)); diff != "" {
					t.Fatalf("seed %d: other trials (-want +got):\n%s", seed, diff)
				}
				break
			}
			if !errors.Is(err, errDied) {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if len(m.observed) != 14*w.steps || len(w.starts) != 14 {
			t.Fatalf("seed %d: %d observations, %d runs", seed, len(m.observed), len(w.starts))
		}
		for n := range m.trials {
			if got := m.trials[n]; got.State != tuner.TrialSucceeded || got.Summary[0].Count != int64(w.steps) {
				t.Fatalf("seed %d: trial %d: %s, %+v", seed, n, got.State, got.Summary)
			}
		}
	}
}

// TestParallel: there are never more trials at once than may be, and never fewer than could.
func TestParallel(t *testing.T) {
	m, w := &memory{}, newWorld()
	w.pause = time.Millisecond
	_ = m.CreateExperiment(t.Context(), experiment("random", 20, 4))
	e, trials, err := drive(t, m, w)
	if err != nil || e.Reason != tuner.ReasonMaxTrials || len(trials) != 20 {
		t.Fatalf("%v, %s, %d trials", err, e.Reason, len(trials))
	}
	most := 0
	for _, a := range trials {
		n := 0
		for _, b := range trials {
			if !b.Started.After(a.Started) && b.Ended.After(a.Started) {
				n++
			}
		}
		most = max(most, n)
	}
	if most != 4 {
		t.Errorf("%d at once, want 4", most)
	}
}

// TestGoal: the first trial that reaches the goal ends the experiment.
func TestGoal(t *testing.T) {
	m, w := &memory{}, newWorld()
	e := experiment("random", 0, 2)
	goal := 1.5
	e.Objectives[0].Goal = &goal
	_ = m.CreateExperiment(t.Context(), e)
	e, trials, err := drive(t, m, w)
	best := tuner.Optimal(e, trials)
	if err != nil || e.Reason != tuner.ReasonGoal || best == nil || best.Value(e, "loss") > goal {
		t.Fatalf("%v, %s, best %+v", err, e.Reason, best)
	}
	for _, x := range trials {
		if !x.State.Ended() {
			t.Errorf("trial %s: %s", x.Name, x.State)
		}
	}
}

// TestFailures: one more failed trial than may fail ends the experiment, and what was
// said last is kept.
func TestFailures(t *testing.T) {
	m, w := &memory{}, newWorld()
	w.fail = func(n int) bool { return n%2 == 1 }
	e := experiment("random", 50, 1)
	limit := 2
	e.MaxFailed = &limit
	_ = m.CreateExperiment(t.Context(), e)
	e, trials, err := drive(t, m, w)
	if err != nil || e.State != tuner.Failed || e.Reason != tuner.ReasonFailed || len(trials) != 6 {
		t.Fatalf("%v, %s %s, %d trials", err, e.State, e.Reason, len(trials))
	}
	if got := trials[5]; got.State != tuner.TrialFailed || got.Reason != "exit code 1\n  boom" {
		t.Errorf("%s: %q", got.State, got.Reason)
	}
}

// TestNotANumber: a trial whose metric was never a number is not the best one, and
// counts as failed; infinities are values.
func TestNotANumber(t *testing.T) {
	m, w := &memory{}, newWorld()
	w.value = func(x float64, _ int) float64 {
		if x < 0 {
			return math.NaN()
		}
		return math.Inf(1)
	}
	_ = m.CreateExperiment(t.Context(), experiment("random", 12, 1))
	e, trials, err := drive(t, m, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range trials {
		want := tuner.TrialSucceeded
		if x.Proposal.Point[0] < 0 {
			want = tuner.TrialMetricsUnavailable
		}
		if x.State != want {
			t.Errorf("x = %g: %s, want %s", x.Proposal.Point[0], x.State, want)
		}
	}
	if best := tuner.Optimal(e, trials); best == nil || !math.IsInf(best.Value(e, "loss"), 1) {
		t.Errorf("best: %+v", best)
	}
}

// TestCancel: a canceled experiment kills its trials, one that is left does not; both
// can go on.
func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		cause error
		want  tuner.TrialState
	}{{errors.New("interrupted"), tuner.TrialKilled}, {tuner.ErrLeave, tuner.TrialRunning}} {
		m, w := &memory{}, newWorld()
		w.pause = 20 * time.Millisecond
		_ = m.CreateExperiment(t.Context(), experiment("random", 6, 2))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*time.Millisecond, func() { cancel(tt.cause) })
		c := tuner.Controller{Store: m, Runner: w}
		e, trials, err := c.Drive(ctx, "e")
		if !errors.Is(err, tt.cause) || e.State.Ended() || len(trials) == 0 || trials[0].State != tt.want {
			t.Fatalf("%v: %v, %s, %+v", tt.cause, err, e.State, trials)
		}
		w.pause = 0
		e, trials, err = drive(t, m, w)
		done := 0
		for _, x := range trials {
			if x.State == tuner.TrialSucceeded {
				done++
			}
		}
		if err != nil || e.Reason != tuner.ReasonMaxTrials || done != 6 { // another one takes the place of each that was killed
			t.Fatalf("%v: going on: %v, %s, %d trials", tt.cause, err, e.Reason, len(trials))
		}
	}
}
