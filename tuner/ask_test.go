package tuner_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

func ask(t *testing.T, c *tuner.Controller, n int) []*tuner.Trial {
	t.Helper()
	_, list, err := c.Ask(t.Context(), "e", n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func loss(v float64, step int64) []metrics.Observation {
	return []metrics.Observation{{Metric: "loss", Value: v, Step: step}}
}

// TestAskAndDriveAgree: who asks and tells gets the trials that a driven experiment
// has, with the same seed.
func TestAskAndDriveAgree(t *testing.T) {
	m := &memory{}
	_ = m.CreateExperiment(t.Context(), experiment("tpe", 14, 1))
	_, want, err := drive(t, m, newWorld())
	if err != nil {
		t.Fatal(err)
	}
	own := &memory{}
	_ = own.CreateExperiment(t.Context(), experiment("tpe", 14, 1))
	c := &tuner.Controller{Store: own}
	var got []*tuner.Trial
	for {
		_, list, err := c.Ask(t.Context(), "e", 1)
		if is[*tuner.NoTrialError](err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		x := list[0].Proposal.Point[0]
		if _, _, err := c.Tell(t.Context(), "e", list[0].Name, tuner.Report{Values: loss((x-3)*(x-3)+1, -1)}); err != nil {
			t.Fatal(err)
		}
		got = append(got, list[0])
	}
	for i, x := range points(got) {
		if i >= len(want) || x != want[i].Proposal.Point[0] {
			t.Fatalf("trials %v, want %v", points(got), points(want))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d trials, want %d", len(got), len(want))
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// TestTell: what is wrong with a report is said, and nothing of it counts.
func TestTell(t *testing.T) {
	m := &memory{}
	_ = m.CreateExperiment(t.Context(), experiment("random", 3, 1))
	c := &tuner.Controller{Store: m}
	list := ask(t, c, 5) // no more than there may be
	if len(list) != 3 {
		t.Fatalf("%d trials, want 3", len(list))
	}
	first, second, third := list[0].Name, list[1].Name, list[2].Name
	wrong := []struct {
		trial string
		r     tuner.Report
		says  string
	}{
		{"sweep-9", tuner.Report{Values: loss(1, -1)}, "no trial"},
		{first, tuner.Report{Values: append(loss(1, -1), metrics.Observation{Metric: "los"})}, `"los" is no metric`},
		{first, tuner.Report{}, "without a value of loss"},
	}
	for _, w := range wrong {
		if _, _, err := c.Tell(t.Context(), "e", w.trial, w.r); !is[*tuner.TellError](err) || !strings.Contains(err.Error(), w.says) {
			t.Errorf("%+v: %v, want %q", w.r, err, w.says)
		}
	}
	if len(m.observed) != 0 {
		t.Errorf("%d values are on record of reports that were refused", len(m.observed))
	}
	tell := func(trial string, r tuner.Report) *tuner.Trial {
		t.Helper()
		_, x, err := c.Tell(t.Context(), "e", trial, r)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	tell(first, tuner.Report{Values: loss(2, 1), Running: true})
	if x := tell(first, tuner.Report{}); x.State != tuner.TrialSucceeded { // it has a value from before
		t.Errorf("the first trial is %s", x.State)
	}
	if _, _, err := c.Tell(t.Context(), "e", first, tuner.Report{Values: loss(0, -1)}); !is[*tuner.TellError](err) {
		t.Errorf("a report to an ended trial: %v", err)
	}
	if x := tell(second, tuner.Report{Failed: "out of memory"}); x.State != tuner.TrialFailed || x.Reason != "out of memory" {
		t.Errorf("the second trial is %s: %s", x.State, x.Reason)
	}
	if _, _, err := c.Ask(t.Context(), "e", 1); !is[*tuner.NoTrialError](err) || !strings.Contains(err.Error(), "handed out") {
		t.Errorf("Ask while one is under way: %v", err)
	}
	if x := tell(third, tuner.Report{Values: loss(math.NaN(), -1)}); x.State != tuner.TrialMetricsUnavailable {
		t.Errorf("a trial whose loss is no number is %s", x.State)
	}
	if _, _, err := c.Ask(t.Context(), "e", 1); !is[*tuner.NoTrialError](err) || !strings.Contains(err.Error(), "3 trials have ended") {
		t.Errorf("Ask at the end: %v", err)
	}
}

// TestAskEnds: the goal ends it, and early stopping a trial that reports as it goes.
func TestAskEnds(t *testing.T) {
	m := &memory{}
	e := experiment("random", 0, 1)
	goal := 0.5
	e.Objectives[0].Goal = &goal
	e.Stopping = &tuner.Algorithm{Name: "medianstop"}
	_ = m.CreateExperiment(t.Context(), e)
	c := &tuner.Controller{Store: m}
	for range 6 {
		trial := ask(t, c, 1)[0].Name
		for step := range int64(6) {
			if _, _, err := c.Tell(t.Context(), "e", trial, tuner.Report{Values: loss(1, step), Running: step < 5}); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := ask(t, c, 2)
	var x *tuner.Trial
	for step := range int64(6) {
		var err error
		if _, x, err = c.Tell(t.Context(), "e", list[0].Name, tuner.Report{Values: loss(9, step), Running: true}); err != nil {
			t.Fatal(err)
		}
		if x.State.Ended() {
			break
		}
	}
	if x.State != tuner.TrialEarlyStopped || x.Reason == "" {
		t.Errorf("the bad trial is %s: %q", x.State, x.Reason)
	}
	got, _, err := c.Tell(t.Context(), "e", list[1].Name, tuner.Report{Values: loss(0.4, -1)})
	if err != nil || got.Reason != tuner.ReasonGoal {
		t.Errorf("at the goal the experiment is %s (%v)", got.Reason, err)
	}
	if _, _, err := c.Ask(t.Context(), "e", 1); !is[*tuner.NoTrialError](err) || !strings.Contains(err.Error(), "reached the goal") {
		t.Errorf("Ask after the goal: %v", err)
	}
}
