package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
)

// document is what `run -o json` ends with; DESIGN §6 fixes it.
type document struct {
	Run runDocument `json:"run"`
}

type runDocument struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Pipeline   string         `json:"pipeline"`
	State      dag.State      `json:"state"`
	Started    string         `json:"started"`
	Ended      string         `json:"ended"`
	Error      string         `json:"error"`
	Parameters map[string]any `json:"parameters"`
	Outputs    dag.Values     `json:"outputs"`
	Tasks      []taskDocument `json:"tasks"`
}

type taskDocument struct {
	Path      string     `json:"path"`
	Kind      dag.Kind   `json:"kind"`
	Component string     `json:"component"`
	State     dag.State  `json:"state"`
	Attempts  int        `json:"attempts"`
	Cached    bool       `json:"cached"`
	Reason    string     `json:"reason"`
	Started   string     `json:"started"`
	Ended     string     `json:"ended"`
	ExitCode  int        `json:"exitCode"`
	Error     string     `json:"error"`
	Inputs    dag.Values `json:"inputs"`
	Outputs   dag.Values `json:"outputs"`
}

func newDocument(run *dag.Run, executions []*dag.Execution) document {
	d := runDocument{
		ID: run.ID, Name: run.Name, Pipeline: run.Pipeline.Name, State: run.State,
		Started: rfc3339(run.Started), Ended: rfc3339(run.Ended), Error: run.Error,
		Parameters: nonNil(run.Parameters), Outputs: cleanValues(run.Outputs), Tasks: []taskDocument{},
	}
	for _, x := range treeOrder(executions) {
		d.Tasks = append(d.Tasks, taskDocument{
			Path: x.Path, Kind: x.Kind, Component: x.Component, State: x.State, Attempts: x.Tries(), Cached: x.Cached,
			Reason: x.Reason, Started: rfc3339(x.Started), Ended: rfc3339(x.Ended), ExitCode: x.ExitCode, Error: x.Error,
			Inputs: cleanValues(x.Inputs), Outputs: cleanValues(x.Outputs),
		})
	}
	return document{d}
}

// treeOrder puts each group's tasks right after it.
func treeOrder(executions []*dag.Execution) []*dag.Execution {
	children := map[int64][]*dag.Execution{}
	for _, x := range executions {
		children[x.Parent] = append(children[x.Parent], x)
	}
	out := make([]*dag.Execution, 0, len(executions))
	var visit func(parent int64)
	visit = func(parent int64) {
		for _, x := range children[parent] {
			out = append(out, x)
			if x.ID != 0 {
				visit(x.ID)
			}
		}
	}
	visit(0)
	return out
}

// cleanValues replaces nil maps, so that JSON has {} and [] where it promises them.
func cleanValues(v dag.Values) dag.Values {
	out := dag.Values{Parameters: nonNil(v.Parameters), Artifacts: map[string][]dag.Artifact{}}
	for name, list := range v.Artifacts {
		for i := range list {
			a := list[i]
			a.Metadata = nonNil(a.Metadata)
			out.Artifacts[name] = append(out.Artifacts[name], a)
		}
	}
	return out
}

func nonNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// rfc3339 is a time in UTC, or "" where there is none yet.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// printDocument prints x on stdout as JSON, or as YAML where that was asked for.
func (g *globals) printDocument(x any) error {
	if g.Output != "yaml" {
		enc := json.NewEncoder(g.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(x)
	}
	text, err := json.Marshal(x)
	if err != nil {
		return err
	}
	plain, err := dag.ParseJSON(text)
	if err != nil {
		return err
	}
	out, err := yaml.Marshal(plain)
	if err != nil {
		return err
	}
	_, err = g.Out.Write(out)
	return err
}

// structured reports whether the result is for a program.
func (g *globals) structured() bool { return g.Output == "json" || g.Output == "yaml" }

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// seconds is a duration as people read it.
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// span is the duration between two moments; "-" where one is not there yet.
func span(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return seconds(to.Sub(from))
}
