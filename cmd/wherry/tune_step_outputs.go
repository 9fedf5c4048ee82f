package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

// searched are the outputs that a tuning step can have, by name.
type searched map[string]string

// The outputs that are JSON: the parameters by name, and what Katib's launcher writes.
const (
	outBest    = "best-parameters"
	outOptimal = "current-optimal-trial"
)

// searchValues are the outputs of a search with this best trial; without it only
// their names count.
func searchValues(e *tuner.Experiment, best *tuner.Trial) searched {
	v := searched{"experiment": e.ID, "best-trial": "", "best-run": "", outBest: "", outOptimal: ""}
	for _, m := range e.Metrics() {
		v["best-"+m], v[m] = "", ""
	}
	for i := range e.Parameters {
		v[bestName(e.Parameters[i].Name)] = ""
	}
	if best == nil {
		return v
	}
	for _, m := range e.Metrics() {
		value := metrics.Format(best.Value(e, m))
		v["best-"+m], v[m] = value, value
	}
	typed, list := map[string]any{}, []any{}
	for i := range e.Parameters {
		delete(v, bestName(e.Parameters[i].Name)) // one that is not there by a condition has no value
	}
	kinds := map[string]suggest.Kind{}
	for i := range e.Parameters {
		kinds[e.Parameters[i].Name] = e.Parameters[i].Kind
	}
	for _, a := range best.Assignments(e) {
		v[bestName(a.Name)] = a.Value
		list = append(list, map[string]any{"name": a.Name, "value": a.Value})
		typed[a.Name] = a.Value
		if n, err := strconv.ParseFloat(a.Value, 64); err == nil && kinds[a.Name] != suggest.Categorical {
			typed[a.Name] = n
		}
	}
	v["best-trial"], v["best-run"] = best.Name, best.Run
	v[outBest] = jsonLine(typed)
	v[outOptimal] = jsonLine(map[string]any{"currentOptimalTrial": map[string]any{
		"bestTrialName": best.Name, "parameterAssignments": list, "observation": newTrialDocument(e, best).Observation,
	}})
	return v
}

func bestName(parameter string) string { return "best-" + strings.TrimLeft(parameter, "-") }

func jsonLine(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and finite numbers
	}
	return string(text)
}

// text is the output of this name, in which - and _ are the same: KFP's names have no
// -. What Katib's launcher writes has any name.
func (v searched) text(name, launcher string) (string, bool) {
	plain := func(s string) string { return strings.ReplaceAll(s, "_", "-") }
	for _, k := range sortedNames(v) {
		if plain(k) == plain(name) {
			return v[k], true
		}
	}
	if launcher == dag.LauncherKatib {
		return v[outOptimal], true
	}
	return "", false
}

// searchResult is what a step hands on once its experiment has ended.
func searchResult(e *tuner.Experiment, trials []*tuner.Trial, x dag.Search) (map[string]string, string, error) {
	best := tuner.Optimal(e, trials)
	switch {
	case e.State != tuner.Succeeded:
		text := fmt.Sprintf("experiment %s failed: %s", e.ID, e.Message)
		for _, t := range trials {
			if t.State == tuner.TrialFailed || t.State == tuner.TrialMetricsUnavailable {
				return nil, "", fmt.Errorf("%s\n%s: %s", text, t.Name, t.Reason)
			}
		}
		return nil, "", fmt.Errorf("%s", text)
	case best == nil:
		return nil, "", fmt.Errorf("no trial of experiment %s has a value of %s", e.ID, e.Objectives[0].Metric)
	}
	values, out := searchValues(e, best), map[string]string{}
	for _, name := range x.Outputs {
		if text, ok := values.text(name, x.Launcher); ok {
			out[name] = text
		}
	}
	lead := e.Objectives[0].Metric
	return out, fmt.Sprintf("experiment %s: best of %d trials is %s with %s %s", e.ID, len(trials), best.Name, lead, figure(best.Value(e, lead))), nil
}
