package tuner_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/tuner"
)

func space(t *testing.T, texts ...string) (out []tuner.Parameter) {
	t.Helper()
	for _, s := range texts {
		p, err := tuner.ParseParameter(s, out)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestConstraints: over parameters no trial breaks one; over metrics one that does is
// not the best.
func TestConstraints(t *testing.T) {
	for _, algorithm := range []string{"random", "tpe"} {
		m, w := &memory{}, newWorld()
		e := experiment(algorithm, 30, 2)
		e.Parameters = space(t, "x=uniform(-5,5)", "n=int(1,9)", "k=choice(a,b)")
		e.Constraints = []string{`x < 1.0 && (k == "a" || n > 4)`, "loss > 20.0"}
		_ = m.CreateExperiment(t.Context(), e)
		e, trials, err := drive(t, m, w)
		if err != nil || len(trials) != 30 {
			t.Fatal(err, len(trials))
		}
		for _, x := range trials {
			if p := x.Proposal.Point; p[0] >= 1 || p[2] == 1 && p[1] <= 4 {
				t.Errorf("%s: %v breaks the constraint", algorithm, p)
			}
		}
		best := tuner.Optimal(e, trials)
		if best == nil || best.Value(e, "loss") <= 20 {
			t.Fatalf("%s: best %+v", algorithm, best)
		}
		for _, x := range trials {
			if v := x.Value(e, "loss"); v > 20 && v < best.Value(e, "loss") {
				t.Errorf("%s: %g is better than %g, and keeps the constraint", algorithm, v, best.Value(e, "loss"))
			}
		}
	}
	for text, want := range map[string]string{
		"x <": "Syntax error", "y < 1.0": "undeclared reference", "x + 1.0": "not true or false", "k < 1": "no matching overload",
	} {
		e := experiment("random", 1, 1)
		e.Parameters, e.Constraints = space(t, "x=uniform(0,1)", "k=choice(a)"), []string{text}
		if err := e.CheckConstraints(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestConditional: a parameter is there only where its condition says so.
func TestConditional(t *testing.T) {
	m, w := &memory{}, newWorld()
	e := experiment("tpe", 30, 1)
	e.Parameters = space(t, "x=uniform(-5,5)", "k=choice(a,b,c)", "g=log(1e-3,1) if k=a|c")
	_ = m.CreateExperiment(t.Context(), e)
	e, trials, err := drive(t, m, w)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, x := range trials {
		there := !math.IsNaN(x.Proposal.Point[2])
		if want := x.Proposal.Point[1] != 1; there != want || len(x.Assignments(e)) != map[bool]int{true: 3, false: 2}[there] {
			t.Errorf("%v: %v", x.Proposal.Point, x.Assignments(e))
		}
		seen[fmt.Sprint(there)] = true
	}
	if len(seen) != 2 {
		t.Errorf("only %v", seen)
	}
	for _, text := range []string{"g=log(1e-3,1) if k=z", "g=log(1e-3,1) if q=a", "g=log(1e-3,1) if k"} {
		if _, err := tuner.ParseParameter(text, e.Parameters[:2]); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// TestWarm: what an earlier experiment found counts as known, and its trials are no
// trials of this one.
func TestWarm(t *testing.T) {
	m, w := &memory{}, newWorld()
	_ = m.CreateExperiment(t.Context(), experiment("random", 40, 1))
	first, known, err := drive(t, m, w)
	if err != nil {
		t.Fatal(err)
	}
	second := &warm{memory: memory{}, from: first, known: known}
	e := experiment("tpe", 10, 1)
	e.WarmFrom = []string{"earlier"}
	_ = second.CreateExperiment(t.Context(), e)
	c := tuner.Controller{Store: second, Runner: newWorld()}
	e, trials, err := c.Drive(t.Context(), "e")
	if err != nil || len(trials) != 10 || trials[0].Number != 0 || trials[0].Proposal.Parent != -1 {
		t.Fatalf("%v, %d trials, %+v", err, len(trials), trials[0])
	}
	near := 0
	for _, x := range trials {
		if math.Abs(x.Proposal.Point[0]-3) < 1.5 {
			near++
		}
	}
	if near < 5 {
		t.Errorf("%d of 10 trials are near the optimum that was known: %v", near, points(trials))
	}
	e.Algorithm.Name = "cmaes"
	if e.CheckWarm() == nil {
		t.Error("cmaes takes other trials")
	}
}

// warm is a store that has an earlier experiment too.
type warm struct {
	memory
	from  *tuner.Experiment
	known []*tuner.Trial
}

func (w *warm) LoadExperiment(ctx context.Context, id string, curves bool) (*tuner.Experiment, []*tuner.Trial, []tuner.Observed, error) {
	if id == "earlier" {
		return w.from, w.known, nil, nil
	}
	return w.memory.LoadExperiment(ctx, id, curves)
}
