package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/wherry-ml/wherry/cmd/wherry/screen"
	"github.com/wherry-ml/wherry/tuner"
)

// tuneProgress prints a line on stderr for each trial that ends. On a terminal a table
// of the running trials and the best one stands below them.
type tuneProgress struct {
	g    *globals
	e    *tuner.Experiment
	tree *screen.Screen // nil: lines only

	mu      sync.Mutex // the table is drawn by a goroutine of its own
	start   time.Time
	states  map[*tuner.Trial]tuner.TrialState // what was printed last
	running []*tuner.Trial
	rows    map[*tuner.Trial]string // of running trials: parameters, metrics so far
	before  int                     // trials that had ended at the start
	done    int
	best    *tuner.Trial
	told    map[string]bool // notes that were printed: many trials wait for one image
}

func newTuneProgress(g *globals, e *tuner.Experiment, trials []*tuner.Trial) *tuneProgress {
	p := &tuneProgress{g: g, e: e, start: time.Now(), states: map[*tuner.Trial]tuner.TrialState{}, rows: map[*tuner.Trial]string{}, told: map[string]bool{}}
	for _, t := range trials {
		if t.State.Ended() {
			p.before++
		}
	}
	p.done, p.best = p.before, tuner.Optimal(e, trials)
	if f := g.terminal(g.Err); f != nil && !g.Quiet {
		p.tree = screen.NewView(f, screen.Reflows(g.Getenv), p.view)
		g.tree.Store(p.tree)
		p.tree.Start(nil)
	}
	return p
}

// observe is the Controller's observer.
func (p *tuneProgress) observe(ev tuner.Event) {
	t := ev.Trial
	if t == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed()
	if !t.State.Ended() {
		p.rows[t] = p.row(t)
	}
	if ev.Measured || p.states[t] == t.State {
		return
	}
	p.states[t] = t.State
	if !t.State.Ended() {
		p.running = append(p.running, t)
		if p.g.Verbose {
			p.say("▸", t, assignments(p.e, t))
		}
		return
	}
	p.end(t)
}

// end tells of a trial that has ended.
func (p *tuneProgress) end(t *tuner.Trial) {
	p.done++
	for i, r := range p.running {
		if r == t {
			p.running = append(p.running[:i:i], p.running[i+1:]...)
			break
		}
	}
	delete(p.rows, t)
	candidates := []*tuner.Trial{t}
	if p.best != nil {
		candidates = []*tuner.Trial{p.best, t}
	}
	p.best = tuner.Optimal(p.e, candidates)
	switch t.State {
	case tuner.TrialSucceeded:
		p.say("✓", t, p.value(t)+"  "+assignments(p.e, t))
	case tuner.TrialEarlyStopped:
		p.say("◦", t, p.value(t)+"  stopped early: "+t.Reason+"  "+assignments(p.e, t))
	default:
		p.say("✗", t, string(t.State)+": "+t.Reason+"\n           with "+assignments(p.e, t))
	}
}

// note tells what a trial waits for.
func (p *tuneProgress) note(text string) {
	p.mu.Lock()
	known := p.told[text]
	p.told[text] = true
	p.mu.Unlock()
	switch {
	case known || p.g.Quiet:
	case p.g.log != nil:
		p.g.log.Info(text)
	default:
		fmt.Fprintf(p.g.words(), "%8s %s\n", seconds(time.Since(p.start)), text)
	}
}

func (p *tuneProgress) changed() {
	if p.tree != nil {
		p.tree.Changed()
	}
}

// row is a running trial in the table.
func (p *tuneProgress) row(t *tuner.Trial) string {
	var words []string
	for _, m := range p.e.Metrics() {
		if v := t.Value(p.e, m); !math.IsNaN(v) {
			words = append(words, m+" "+figure(v))
		}
	}
	return strings.Join(append(words, assignments(p.e, t)), "  ")
}

// view draws the table.
func (p *tuneProgress) view(now time.Time, width, height int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := now.Sub(p.start)
	head := fmt.Sprintf("%s  %d", p.e.Name, p.done)
	if p.e.MaxTrials > 0 {
		head += fmt.Sprintf("/%d", p.e.MaxTrials)
	}
	head += " trials  " + seconds(elapsed)
	if n := p.done - p.before; n > 0 {
		each := elapsed / time.Duration(n)
		head += fmt.Sprintf("  %.3g/min", float64(time.Minute)/float64(each))
		if p.e.MaxTrials > 0 {
			head += "  about " + seconds(each*time.Duration(max(0, p.e.MaxTrials-p.done))) + " left"
		}
	}
	lines := []string{head}
	if p.best != nil {
		lead := p.e.Objectives[0].Metric
		lines = append(lines, fmt.Sprintf("  best %s: %s %s  %s", p.best.Name, lead, figure(p.best.Value(p.e, lead)), assignments(p.e, p.best)))
	}
	for i, t := range p.running {
		if i >= height-4 {
			lines = append(lines, fmt.Sprintf("  and %d more", len(p.running)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("  ▸ %s %s  %s", t.Name, seconds(now.Sub(t.Started)), p.rows[t]))
	}
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], width-1, "…")
	}
	return lines
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
	count := strconv.Itoa(p.done)
	if p.e.MaxTrials > 0 {
		count += "/" + strconv.Itoa(p.e.MaxTrials)
	}
	if p.g.log != nil {
		p.g.log.Info(t.Name+": "+text, "trials", count)
		return
	}
	fmt.Fprintf(p.g.words(), "%8s %s %s %s: %s\n", seconds(time.Since(p.start)), count, mark, t.Name, text)
}

// close ends the table.
func (p *tuneProgress) close() {
	if p.tree != nil {
		p.tree.Close(false)
	}
}

// figure is a number for people: five digits.
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
