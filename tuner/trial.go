package tuner

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

// Trial is one run of an experiment's template with parameters of its own.
type Trial struct {
	Number   int // 0, 1, …
	Name     string
	State    TrialState
	Reason   string // for people: why it failed, why it was stopped
	Proposal suggest.Proposal
	Run      string // id of its run; empty: none was made
	Stop     string // why it is to be stopped early; empty: it is not
	Summary  []metrics.Metric
	Created  time.Time
	Started  time.Time
	Ended    time.Time

	streams map[string]*stream
}

// stream is what came from one place.
type stream struct {
	attempt int
	count   int64
	latest  time.Time
	summary metrics.Summary
	leads   float64           // values of the leading objective
	curve   []suggest.Reading // of the leading objective, as losses
}

// TrialState is the condition of a trial.
type TrialState string

// Katib's conditions.
const (
	TrialCreated            TrialState = "Created"
	TrialRunning            TrialState = "Running"
	TrialSucceeded          TrialState = "Succeeded"
	TrialKilled             TrialState = "Killed"
	TrialFailed             TrialState = "Failed"
	TrialMetricsUnavailable TrialState = "MetricsUnavailable"
	TrialEarlyStopped       TrialState = "EarlyStopped"
)

// Ended reports whether the trial is over.
func (s TrialState) Ended() bool { return s != TrialCreated && s != TrialRunning }

// Counts reports whether a trial's metrics can make it the best one.
func (s TrialState) Counts() bool { return s == TrialSucceeded || s == TrialEarlyStopped }

// Observe takes in what was observed of the trial, and returns what of it is new.
func (t *Trial) Observe(e *Experiment, o Observed) Observed {
	if t.streams == nil {
		t.streams = map[string]*stream{}
	}
	s := t.streams[o.Stream]
	if s == nil || o.Attempt > s.attempt {
		s = &stream{attempt: o.Attempt}
		t.streams[o.Stream] = s
	}
	if o.First < 0 {
		o.First = s.count
	}
	if known := s.count - o.First; known > 0 || o.Attempt < s.attempt {
		if o.Attempt < s.attempt {
			known = int64(len(o.List))
		}
		known = min(known, int64(len(o.List)))
		o.First, o.List = o.First+known, o.List[known:]
	}
	for _, x := range o.List {
		s.add(e.Objectives[0], x)
	}
	t.sum(e)
	return o
}

// Replay gives trials what a Store has of them.
func Replay(e *Experiment, trials []*Trial, observed []Observed) {
	for _, o := range observed {
		t := trials[o.Trial]
		summary := t.Summary
		t.Observe(e, o)
		if t.State.Ended() { // of these only the curve was loaded
			t.Summary = summary
		}
	}
}

func (s *stream) add(lead Objective, o metrics.Observation) {
	s.count++
	s.latest = o.Time
	s.summary.Add(o)
	if o.Metric != lead.Metric || math.IsNaN(o.Value) {
		return
	}
	s.leads++
	step := float64(o.Step)
	if o.Step < 0 {
		step = s.leads
	}
	s.curve = append(s.curve, suggest.Reading{Step: step, Loss: lead.loss(o.Value)})
}

// sum makes the Summary of all streams: of the same metric the latest value is that of
// the stream that was heard last.
func (t *Trial) sum(e *Experiment) {
	t.Summary = nil
	names := slices.Collect(maps.Keys(t.streams))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(t.streams[a].latest.Compare(t.streams[b].latest), strings.Compare(a, b))
	})
	for _, name := range names {
		for _, m := range t.streams[name].summary.Metrics(e.Metrics()) {
			if old := t.metric(m.Name); old != nil {
				join(old, m)
			} else {
				t.Summary = append(t.Summary, m)
			}
		}
	}
}

// join takes in what another stream, that was heard later, says of the metric.
func join(m *metrics.Metric, o metrics.Metric) {
	if math.IsNaN(m.Min) {
		m.Min, m.Max = o.Min, o.Max
	} else if !math.IsNaN(o.Min) {
		m.Min, m.Max = math.Min(m.Min, o.Min), math.Max(m.Max, o.Max)
	}
	m.Latest, m.Count, m.NaNs = o.Latest, m.Count+o.Count, m.NaNs+o.NaNs
}

// curve is how the leading objective went, as losses: of the stream that has most of it.
func (t *Trial) curve() (best []suggest.Reading) {
	for _, s := range t.streams {
		if len(s.curve) > len(best) {
			best = s.curve
		}
	}
	return best
}

func (t *Trial) metric(name string) *metrics.Metric {
	for i := range t.Summary {
		if t.Summary[i].Name == name {
			return &t.Summary[i]
		}
	}
	return nil
}

// Value is the value that counts of a metric; NaN where there is none.
func (t *Trial) Value(e *Experiment, metric string) float64 {
	if m := t.metric(metric); m != nil {
		if v, err := m.Pick(e.Extract(metric)); err == nil {
			return v
		}
	}
	return math.NaN()
}

// loss is what suggest minimizes.
func (o Objective) loss(v float64) float64 {
	if o.Maximize {
		return -v
	}
	return v
}

// reached reports whether a value is as good as the goal.
func (o Objective) reached(v float64) bool {
	return o.Goal != nil && !math.IsNaN(v) && o.loss(v) <= o.loss(*o.Goal)
}

// losses are a trial's losses; nil where one is missing or not a number.
func (t *Trial) losses(e *Experiment) []float64 {
	var out []float64
	for _, o := range e.Objectives {
		v := t.Value(e, o.Metric)
		if math.IsNaN(v) {
			return nil
		}
		out = append(out, o.loss(v))
	}
	return out
}

// record is the trial as algorithms see it. before is how many trials of other
// experiments they see too.
func (t *Trial) record(e *Experiment, constraints []constraint, before int) suggest.Trial {
	r := suggest.Trial{Proposal: t.Proposal, Number: t.Number + before, Curve: t.curve()}
	if r.Parent >= 0 {
		r.Parent += before
	}
	switch {
	case !t.State.Ended():
		r.State = suggest.Running
	case !t.State.Counts():
		r.State = suggest.Failed
	default:
		r.State = suggest.Succeeded
		if t.State == TrialEarlyStopped {
			r.State = suggest.Stopped
		}
		if r.Losses = t.losses(e); r.Losses == nil {
			r.State = suggest.Failed
		}
		r.Violation = e.violation(constraints, t)
	}
	return r
}

// Assignment is the text that a trial gets for a parameter.
type Assignment struct{ Name, Value string }

// Assignments are the trial's parameters, in the experiment's order; those that are
// not there by a condition are left out.
func (t *Trial) Assignments(e *Experiment) []Assignment {
	var out []Assignment
	for i := range e.Parameters {
		if v := t.Proposal.Point[i]; !math.IsNaN(v) {
			out = append(out, Assignment{e.Parameters[i].Name, e.Parameters[i].Format(v)})
		}
	}
	return out
}

// Optimal is the trial with the best value of the leading objective; nil where none
// has one that keeps the constraints. The first of equals counts.
func Optimal(e *Experiment, trials []*Trial) *Trial {
	constraints, _ := e.compile() // who made the experiment has seen that they can be read
	return optimal(e, constraints, trials)
}

func optimal(e *Experiment, constraints []constraint, trials []*Trial) *Trial {
	var best *Trial
	loss := math.Inf(1)
	for _, t := range trials {
		if !t.State.Counts() || e.violation(constraints, t) > 0 {
			continue
		}
		if v := e.Objectives[0].loss(t.Value(e, e.Objectives[0].Metric)); best == nil && !math.IsNaN(v) || v < loss {
			best, loss = t, v
		}
	}
	return best
}
