package suggest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// ladderRun is the history of one worker that ends every trial before the next,
// whose loss is its point's first coordinate.
func ladderRun(t *testing.T, a Algorithm, s *Space, history []Trial, until int) []Trial {
	t.Helper()
	for len(history) < until {
		p, err := a.Next(Query{Space: s, History: history, Seed: 3, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, Trial{Proposal: p, Number: len(history), State: Succeeded, Losses: []float64{p.Point[0]}})
	}
	return history
}

func newOrFail(t testing.TB, name string, given ...Setting) Algorithm {
	t.Helper()
	a, err := New(name, given)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var hyperbandGiven = []Setting{{"resource_name", "epochs"}, {"r_l", "9"}, {"eta", "3"}}

// As in table 1 of Li 2018, for R = 9: 9 trials with 1, the best 3 of them with 3, 1
// with 9; 5 with 3 (Li: ceil(3/2 * 3)), 1 with 9; 3 with 9. And then the same again.
func TestHyperbandBrackets(t *testing.T) {
	s := &Space{Parameters: []Parameter{double("x", 0, 1), integer("epochs", 1, 1)}}
	history := ladderRun(t, newOrFail(t, "hyperband", hyperbandGiven...), s, nil, 23)
	var got strings.Builder
	for i, tr := range history {
		if i == 0 || tr.Bracket != history[i-1].Bracket || tr.Rung != history[i-1].Rung {
			fmt.Fprintf(&got, " %d.%d@%g:", tr.Bracket, tr.Rung, tr.Resource)
		}
		got.WriteByte('x')
		if tr.Point[1] != tr.Resource {
			t.Errorf("trial %d: epochs is %g, the resource %g", i, tr.Point[1], tr.Resource)
		}
	}
	if want := " 0.0@1:xxxxxxxxx 0.1@3:xxx 0.2@9:x 1.0@3:xxxxx 1.1@9:x 2.0@9:xxx 3.0@1:x"; got.String() != want {
		t.Errorf("brackets%s\nwant    %s", got.String(), want)
	}
	first := slices.Clone(history[:9])
	slices.SortFunc(first, func(a, b Trial) int { return cmaCompare(&a, &b) })
	for i, tr := range history[9:12] {
		if tr.Parent != first[i].Number || tr.Point[0] != first[i].Point[0] {
			t.Errorf("promoted trial %d goes on from trial %d, want %d", i, tr.Parent, first[i].Number)
		}
	}
}

// Whatever the history was cut off at, another process goes on as the first would have.
func TestHyperbandResumesInMidBracket(t *testing.T) {
	s := &Space{Parameters: []Parameter{double("x", 0, 1), double("y", 0, 1), integer("epochs", 1, 9)}}
	whole := ladderRun(t, newOrFail(t, "hyperband", hyperbandGiven...), s, nil, 40)
	for cut := range whole {
		rest := ladderRun(t, newOrFail(t, "hyperband", hyperbandGiven...), s, slices.Clone(whole[:cut]), cut+1)
		if fmt.Sprint(rest[cut]) != fmt.Sprint(whole[cut]) {
			t.Fatalf("trial %d: %v, want %v", cut, rest[cut], whole[cut])
		}
	}
}

// A rung that waits for a running trial holds up its own bracket alone, and no failed
// or early stopped trial is promoted.
func TestHyperbandWaitsAndFails(t *testing.T) {
	s := &Space{Parameters: []Parameter{double("x", 0, 1), integer("epochs", 1, 9)}}
	a := newOrFail(t, "hyperband", hyperbandGiven...)
	history := ladderRun(t, a, s, nil, 9)
	history[4].State, history[4].Losses = Running, nil
	p, err := a.Next(Query{Space: s, History: history, Seed: 3, Workers: 2})
	if err != nil || p.Bracket != 1 || p.Rung != 0 {
		t.Errorf("with a trial of the rung still running: %+v, %v, want the next bracket's first trial", p, err)
	}
	gone := ladderRun(t, a, s, ladderRun(t, a, s, nil, 9), 10)
	gone[9].State, gone[9].Losses = Failed, nil
	if gone = ladderRun(t, a, s, gone, 11); gone[10].Parent == gone[9].Parent {
		t.Errorf("trial %d goes on again, though it failed with more resource", gone[9].Parent)
	}
	for i := range history {
		history[i].State, history[i].Losses = Failed, nil
	}
	history[2].State, history[2].Losses = Succeeded, []float64{1}
	history[3].State, history[3].Losses = Stopped, []float64{0}
	history = ladderRun(t, a, s, history, 11)
	if history[9].Parent != 2 || history[10].Parent != 9 || history[10].Rung != 2 {
		t.Errorf("then went on from %d and %d, want 2, the only one that succeeded, and then from that", history[9].Parent, history[10].Parent)
	}
}

// ASHA promotes as soon as one of eta has ended, and the highest rung first.
func TestASHAPromotes(t *testing.T) {
	s := &Space{Parameters: []Parameter{double("x", 0, 1), integer("epochs", 1, 9)}}
	a := newOrFail(t, "asha", Setting{"resource_name", "epochs"}, Setting{"max_resource", "9"})
	history := ladderRun(t, a, s, nil, 40)
	if !slices.ContainsFunc(history, func(t Trial) bool { return t.Rung == 2 }) {
		t.Error("no trial reached the highest rung")
	}
	for _, tr := range history {
		if want := []float64{1, 3, 9}[tr.Rung]; tr.Resource != want || tr.Point[1] != want {
			t.Errorf("trial %d on rung %d has the resource %g, want %g", tr.Number, tr.Rung, tr.Resource, want)
		}
	}
	if history[3].Rung != 1 || history[3].Parent < 0 || history[3].Parent > 2 {
		t.Errorf("after three trials: %+v, want the best of them promoted", history[3].Proposal)
	}
	for _, tr := range history[:3] {
		if tr.Losses[0] < history[history[3].Parent].Losses[0] {
			t.Errorf("trial %d was better than the promoted %d", tr.Number, history[3].Parent)
		}
	}
}

func TestLadderSettings(t *testing.T) {
	for _, c := range []struct {
		name  string
		given []Setting
		wrong string
	}{
		{"hyperband", nil, "resource_name"},
		{"hyperband", []Setting{{"resource_name", "epochs"}}, "r_l"},
		{"hyperband", []Setting{{"resource_name", "epochs"}, {"r_l", "0.5"}}, "r_l"},
		{"hyperband", []Setting{{"resource_name", "epochs"}, {"r_l", "9"}, {"eta", "1"}}, "eta"},
		{"asha", nil, "max_resource"},
		{"asha", []Setting{{"max_resource", "2"}, {"min_resource", "4"}}, "max_resource"},
		{"pbt", []Setting{{"n_population", "4"}}, "n_population"},
		{"pbt", []Setting{{"truncation_threshold", "1.5"}}, "truncation_threshold"},
		{"cmaes", []Setting{{"restart_strategy", "always"}}, "restart_strategy"},
		{"cmaes", []Setting{{"sigma", "0"}}, "sigma"},
		{"cmaes", []Setting{{"sgima", "1"}}, "sgima"},
	} {
		_, err := New(c.name, c.given)
		if e, ok := errors.AsType[*SettingError](err); !ok || e.Name != c.wrong {
			t.Errorf("%s %v: %v, want an error of %s", c.name, c.given, err, c.wrong)
		}
	}
	s := cube(2, 0, 1)
	_, err := newOrFail(t, "hyperband", hyperbandGiven...).Next(Query{Space: &s})
	if e, ok := errors.AsType[*SettingError](err); !ok || e.Name != "resource_name" {
		t.Errorf("a resource that is no parameter: %v", err)
	}
}

func curve(losses ...float64) (c []Reading) {
	for i, l := range losses {
		c = append(c, Reading{Step: float64(i + 1), Loss: l})
	}
	return c
}

// The averages up to step 4 are 1, 2 and 30: their median is 2, their mean, which Katib
// takes, 11.
func TestMedianStopTakesTheMedian(t *testing.T) {
	stop, err := NewStopper("medianstop", nil)
	if err != nil {
		t.Fatal(err)
	}
	history := []Trial{
		{State: Succeeded, Curve: curve(1, 1, 1, 1, 0)},
		{State: Succeeded, Curve: curve(2, 2, 2, 2, 0)},
		{State: Succeeded, Curve: curve(30, 30, 30, 30, 0)},
		{State: Failed, Curve: curve(0, 0, 0, 0, 0)},
		{State: Stopped, Curve: curve(0, 0, 0, 0)},
		{},
	}
	for _, c := range []struct {
		losses []float64
		stop   bool
	}{
		{[]float64{9, 9, 9}, false}, // before start_step
		{[]float64{9, 9, 9, 3}, true},
		{[]float64{9, 9, 9, 2}, false}, // as good as the median
		{[]float64{1.5, 9, 9, 9}, false},
		{nil, false},
	} {
		history[5].Curve = curve(c.losses...)
		if why, got := stop.Stop(history, 5); got != c.stop {
			t.Errorf("%v: %v %q, want %v", c.losses, got, why, c.stop)
		}
	}
	history[5].Curve = curve(9, 9, 9, 9)
	if _, got := stop.Stop(history[1:], 4); got {
		t.Error("stopped with two trials that succeeded, where three are required")
	}
}

// At step 1, 3 and 9 a trial has to be among the best third.
func TestASHAStop(t *testing.T) {
	stop, err := NewStopper("asha", []Setting{{"max_resource", "9"}})
	if err != nil {
		t.Fatal(err)
	}
	history := []Trial{{State: Succeeded, Curve: curve(5, 4, 3, 3, 3, 3, 3, 3, 3)}, {State: Stopped, Curve: curve(6)}, {}}
	for _, c := range []struct {
		losses []float64
		stop   bool
	}{
		{[]float64{5.5}, true},
		{[]float64{5}, false},
		{[]float64{4, 9}, false}, // no rung
		{[]float64{4, 9, 2}, false},
		{[]float64{4, 2, 3.5}, true},
		{[]float64{4, 2, 2, 2, 2, 2, 2, 2, 99}, false}, // the last step is no rung: it is done anyway
	} {
		history[2].Curve = curve(c.losses...)
		if why, got := stop.Stop(history, 2); got != c.stop {
			t.Errorf("%v: %v %q, want %v", c.losses, got, why, c.stop)
		}
	}
}
