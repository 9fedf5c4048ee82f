package tuner

import (
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

// Experiment is a search for good parameters. It is plain data and stored as JSON;
// what changes while it runs are State, Reason and the times.
type Experiment struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	File         string       `json:"file,omitempty"`
	Objectives   []Objective  `json:"objectives"`           // at least one; the first leads: the goal and early stopping are its
	Additional   []string     `json:"additional,omitempty"` // further metrics that are kept
	Strategies   []Strategy   `json:"strategies,omitempty"`
	Algorithm    Algorithm    `json:"algorithm"`
	Stopping     *Algorithm   `json:"stopping,omitempty"` // early
	Parameters   []Parameter  `json:"parameters"`
	Constraints  []string     `json:"constraints,omitempty"` // over parameters, in CEL: a trial is only made where all hold
	Parallel     int          `json:"parallel"`              // trials at once
	MaxTrials    int          `json:"maxTrials,omitempty"`   // 0: no limit but the space's
	MaxFailed    *int         `json:"maxFailed,omitempty"`   // with one more the experiment has failed; nil: no limit
	ResumePolicy ResumePolicy `json:"resumePolicy,omitempty"`
	Seed         uint64       `json:"seed"`
	Collector    Collector    `json:"collector"`
	Trial        Template     `json:"trial"`
	Notes        []string     `json:"notes,omitempty"`    // for people: what the file says and does not count here
	WarmFrom     []string     `json:"warmFrom,omitempty"` // ids of earlier experiments whose trials count as known

	State   State     `json:"-"`
	Reason  string    `json:"-"` // Katib's reason, as ExperimentGoalReached
	Message string    `json:"-"` // in words for a person
	Created time.Time `json:"-"`
	Ended   time.Time `json:"-"`

	// Revision counts what was committed of it; see Batch.Exclusive.
	Revision int64 `json:"-"`
}

// Asked reports whether somebody else runs its trials: they come from Ask, what they
// measure goes to Tell, and nobody drives it.
func (e *Experiment) Asked() bool { return e.Trial.Pipeline == nil }

// Objective is a metric to be made small or large.
type Objective struct {
	Metric   string   `json:"metric"`
	Maximize bool     `json:"maximize,omitempty"`
	Goal     *float64 `json:"goal,omitempty"` // reached: the experiment is over
}

// Strategy says which of a metric's values counts.
type Strategy struct {
	Metric  string           `json:"metric"`
	Extract metrics.Strategy `json:"extract"`
}

// Algorithm names an algorithm and its settings.
type Algorithm struct {
	Name     string            `json:"name"`
	Settings []suggest.Setting `json:"settings,omitempty"`
}

// Parameter is a parameter of the search space.
type Parameter = suggest.Parameter

// ResumePolicy says whether an experiment that has ended may go on with more trials.
type ResumePolicy string

// Katib's policies. Here nothing but the database is needed to go on: LongRunning and
// FromVolume are the same.
const (
	ResumeNever       ResumePolicy = "Never"
	ResumeLongRunning ResumePolicy = "LongRunning"
	ResumeFromVolume  ResumePolicy = "FromVolume"
)

// Collector says where a trial's metrics come from.
type Collector struct {
	Kind    CollectorKind  `json:"kind"`
	Path    string         `json:"path,omitempty"`    // of File and TensorFlowEvent, in the container; of PrometheusMetric, of the URL
	JSON    bool           `json:"json,omitempty"`    // of File: one JSON object a line
	Port    int            `json:"port,omitempty"`    // of PrometheusMetric
	Sidecar *dag.Container `json:"sidecar,omitempty"` // of Custom: the container that prints them
	Filters []string       `json:"filters,omitempty"` // of StdOut and File: regular expressions with a group for the name and one for the value
}

// CollectorKind is one of Katib's collector kinds.
type CollectorKind string

// The kinds. Of a pipeline's trials Outputs are read as well: its output parameters
// and the metadata of its Metrics artifacts.
const (
	StdOut          CollectorKind = "StdOut"
	File            CollectorKind = "File"
	TensorFlowEvent CollectorKind = "TensorFlowEvent"
	Prometheus      CollectorKind = "PrometheusMetric"
	Custom          CollectorKind = "Custom"
	Push            CollectorKind = "Push"
	NoCollector     CollectorKind = "None"
	Outputs         CollectorKind = "Outputs"
)

// Template is what a trial runs: a pipeline, whose root takes the experiment's
// parameters. A Job is a pipeline of one task.
type Template struct {
	Pipeline *dag.Pipeline  `json:"pipeline"`
	Options  dag.RunOptions `json:"options"`
	// Parameters are the root's input parameters by what is given for them.
	Parameters []Binding      `json:"parameters"`
	Fixed      map[string]any `json:"fixed,omitempty"` // further input parameters, the same in all trials
	// Checkpoint is the root's input artifact that takes the directory which the parent
	// of a trial left as the output artifact of that name; empty: there is no such thing.
	Checkpoint string `json:"checkpoint,omitempty"`
	Primary    string `json:"primary,omitempty"`   // path of the task whose log counts; empty: all
	Container  string `json:"container,omitempty"` // of it; empty: all
	Retain     bool   `json:"retain,omitempty"`
	// Grace is the time between SIGTERM and SIGKILL that the template asks for; 0: it
	// does not.
	Grace time.Duration `json:"grace,omitempty"`
}

// Binding gives an input parameter of a trial's pipeline its value.
type Binding struct {
	Input     string `json:"input"`
	Parameter string `json:"parameter,omitempty"` // of the experiment
	Meta      string `json:"meta,omitempty"`      // or of the trial: "Name" or "Experiment"
}

// State is the condition of an experiment.
type State string

// Katib's conditions.
const (
	Created    State = "Created"
	Running    State = "Running"
	Restarting State = "Restarting"
	Succeeded  State = "Succeeded"
	Failed     State = "Failed"
)

// Ended reports whether nothing more happens by itself.
func (s State) Ended() bool { return s == Succeeded || s == Failed }

// Katib's reasons of an experiment's condition, and one of ours.
const (
	ReasonGoal       = "ExperimentGoalReached"
	ReasonMaxTrials  = "ExperimentMaxTrialsReached"
	ReasonExhausted  = "ExperimentSuggestionEndReached"
	ReasonFailed     = "ExperimentFailed"
	ReasonRunning    = "ExperimentRunning"
	ReasonRestarting = "ExperimentRestarting"
	ReasonCanceled   = "ExperimentCanceled"
)

// Space is the search space of the experiment. feasible says whether a point keeps
// the constraints; nil where there are none.
func (e *Experiment) Space(feasible func(suggest.Point) bool) *suggest.Space {
	return &suggest.Space{Parameters: e.Parameters, Feasible: feasible}
}

// Metrics are the names of all metrics that are kept, the leading objective first.
func (e *Experiment) Metrics() []string {
	var names []string
	for _, o := range e.Objectives {
		names = append(names, o.Metric)
	}
	return append(names, e.Additional...)
}

// Extract says which of a metric's values counts: by default the best for an
// objective, and for the others what would be the best for the first, as in Katib.
func (e *Experiment) Extract(metric string) metrics.Strategy {
	for _, s := range e.Strategies {
		if s.Metric == metric {
			return s.Extract
		}
	}
	lead := e.Objectives[0]
	for _, o := range e.Objectives {
		if o.Metric == metric {
			lead = o
		}
	}
	if lead.Maximize {
		return metrics.Max
	}
	return metrics.Min
}
