package main

import (
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// experimentDocument is what `tune -o json` ends with; DESIGN §6 fixes it. Values are
// text, as in Katib.
type experimentDocument struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	State      tuner.State       `json:"state"`
	Reason     string            `json:"reason"`
	Message    string            `json:"message"`
	Algorithm  string            `json:"algorithm"`
	Objective  objectiveDocument `json:"objective"`
	Optimal    *optimalDocument  `json:"optimal"`
	Pareto     []string          `json:"pareto,omitempty"` // trials that no other is better than in all objectives
	Importance []importance      `json:"importance,omitempty"`
	Trials     []trialDocument   `json:"trials"`
	Started    string            `json:"started"`
	Ended      string            `json:"ended"`
}

type objectiveDocument struct {
	Type       string   `json:"type"`
	Metric     string   `json:"objectiveMetricName"`
	Goal       *float64 `json:"goal,omitempty"`
	Additional []string `json:"additionalMetricNames,omitempty"`
}

type optimalDocument struct {
	Trial       string              `json:"trial"`
	Run         string              `json:"run"`
	Parameters  map[string]string   `json:"parameters"`
	Observation observationDocument `json:"observation"`
}

type trialDocument struct {
	Name        string              `json:"name"`
	Run         string              `json:"run"`
	State       tuner.TrialState    `json:"state"`
	Reason      string              `json:"reason"`
	Parameters  map[string]string   `json:"parameters"`
	Observation observationDocument `json:"observation"`
	Started     string              `json:"started"`
	Ended       string              `json:"ended"`
}

type observationDocument struct {
	Metrics []metricDocument `json:"metrics,omitempty"`
}

type metricDocument struct {
	Name   string `json:"name"`
	Latest string `json:"latest"`
	Min    string `json:"min"`
	Max    string `json:"max"`
}

type importance struct {
	Parameter string  `json:"parameter"`
	Share     float64 `json:"share"` // of the variance among good trials; they add up to 1
}

func newExperimentDocument(e *tuner.Experiment, trials []*tuner.Trial) experimentDocument {
	lead := e.Objectives[0]
	d := experimentDocument{
		ID: e.ID, Name: e.Name, State: e.State, Reason: e.Reason, Message: e.Message, Algorithm: e.Algorithm.Name,
		Objective: objectiveDocument{Type: "minimize", Metric: lead.Metric, Goal: lead.Goal, Additional: e.Metrics()[1:]},
		Trials:    []trialDocument{}, Started: rfc3339(e.Created), Ended: rfc3339(e.Ended),
	}
	if lead.Maximize {
		d.Objective.Type = "maximize"
	}
	for _, t := range trials {
		d.Trials = append(d.Trials, newTrialDocument(e, t))
	}
	for i, share := range tuner.Importance(e, trials) {
		d.Importance = append(d.Importance, importance{e.Parameters[i].Name, share})
	}
	for _, t := range tuner.Pareto(e, trials) {
		d.Pareto = append(d.Pareto, t.Name)
	}
	if best := tuner.Optimal(e, trials); best != nil {
		t := newTrialDocument(e, best)
		d.Optimal = &optimalDocument{Trial: t.Name, Run: t.Run, Parameters: t.Parameters, Observation: t.Observation}
	}
	return d
}

func newTrialDocument(e *tuner.Experiment, t *tuner.Trial) trialDocument {
	d := trialDocument{
		Name: t.Name, Run: t.Run, State: t.State, Reason: t.Reason, Parameters: map[string]string{},
		Started: rfc3339(t.Started), Ended: rfc3339(t.Ended),
	}
	for _, a := range t.Assignments(e) {
		d.Parameters[a.Name] = a.Value
	}
	for _, m := range t.Summary {
		d.Observation.Metrics = append(d.Observation.Metrics, metricDocument{
			Name: m.Name, Latest: metrics.Format(m.Latest), Min: metrics.Format(m.Min), Max: metrics.Format(m.Max),
		})
	}
	return d
}
