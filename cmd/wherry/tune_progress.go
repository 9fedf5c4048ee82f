package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/tuner"
)

// tuneProgress prints a line on stderr for each trial that ends, and says now and
// then what runs while none does.
type tuneProgress struct {
	g      *globals
	e      *tuner.Experiment
	start  time.Time
	trials map[*tuner.Trial]tuner.TrialState // what was printed last
	ended  int
	best   *tuner.Trial
}

func newTuneProgress(g *globals, e *tuner.Experiment) *tuneProgress {
	return &tuneProgress{g: g, e: e, start: time.Now(), trials: map[*tuner.Trial]tuner.TrialState{}}
}

// observe is the Controller's observer.
func (p *tuneProgress) observe(ev tuner.Event) {
	t := ev.Trial
	if t == nil || ev.Measured || p.trials[t] == t.State {
		return
	}
	p.trials[t] = t.State
	if !t.State.Ended() {
		if p.g.Verbose {
			p.say("▸", t, assignments(p.e, t))
		}
		return
	}
	p.ended++
	if b := tuner.Optimal(p.e, appendTrial(p.best, t)); b != nil {
		p.best = b
	}
	switch t.State {
	case tuner.TrialSucceeded:
		p.say("✓", t, p.value(t)+"  "+assignments(p.e, t))
	case tuner.TrialEarlyStopped:
		p.say("◦", t, p.value(t)+"  stopped early: "+t.Reason+"  "+assignments(p.e, t))
	default:
		p.say("✗", t, string(t.State)+": "+t.Reason+"\n      with "+assignments(p.e, t))
	}
}

func appendTrial(best, t *tuner.Trial) []*tuner.Trial {
	if best == nil {
		return []*tuner.Trial{t}
	}
	return []*tuner.Trial{best, t}
}

// value is what a trial reached, and whether that is the best so far.
func (p *tuneProgress) value(t *tuner.Trial) string {
	lead := p.e.Objectives[0].Metric
	text := fmt.Sprintf("%s %s", lead, figure(t.Value(p.e, lead)))
	switch {
	case p.best == t:
		text += " (best)"
	case p.best != nil:
		text += fmt.Sprintf(" (best %s)", figure(p.best.Value(p.e, lead)))
	}
	return text
}

func (p *tuneProgress) say(mark string, t *tuner.Trial, text string) {
	if p.g.Quiet {
		return
	}
	of := ""
	if p.e.MaxTrials > 0 {
		of = "/" + strconv.Itoa(p.e.MaxTrials)
	}
	fmt.Fprintf(p.g.words(), "%8s %d%s %s %s: %s\n", seconds(time.Since(p.start)), t.Number+1, of, mark, t.Name, text)
}

func (p *tuneProgress) close() {}

// figure is a number for people: four digits.
func figure(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}

// assignments are a trial's parameters for people.
func assignments(e *tuner.Experiment, t *tuner.Trial) string {
	var words []string
	for _, a := range t.Assignments(e) {
		value := a.Value
		if v, err := strconv.ParseFloat(value, 64); err == nil && len(value) > 8 {
			value = figure(v)
		}
		words = append(words, a.Name+"="+value)
	}
	return strings.Join(words, " ")
}
