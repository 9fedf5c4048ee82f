package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/tuner"
)

// printExperiment prints an experiment that has ended; the error is its exit code.
func (g *globals) printExperiment(e *tuner.Experiment, trials []*tuner.Trial) error {
	if g.structured() {
		if err := g.printDocument(map[string]any{"experiment": newExperimentDocument(e, trials)}); err != nil {
			return err
		}
	} else {
		g.summarizeExperiment(e, trials)
	}
	if e.State == tuner.Failed {
		return &workError{state: dag.Failed, msg: fmt.Sprintf("experiment %s failed: %s", e.Name, e.Message), mend: "wherry get trials " + e.ID + " says why each of them did"}
	}
	return nil
}

// summarizeExperiment prints what came of it, for people.
func (g *globals) summarizeExperiment(e *tuner.Experiment, trials []*tuner.Trial) {
	counts := map[tuner.TrialState]int{}
	for _, t := range trials {
		counts[t.State]++
	}
	var words []string
	for _, s := range []tuner.TrialState{tuner.TrialSucceeded, tuner.TrialEarlyStopped, tuner.TrialFailed, tuner.TrialMetricsUnavailable, tuner.TrialKilled, tuner.TrialRunning} {
		if counts[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	message := e.Message
	if e.Asked() && !e.State.Ended() {
		message = "wherry suggest " + e.Name + " asks for a trial"
	}
	fmt.Fprintf(g.Out, "experiment  %s  %s  in %s: %s\n", e.Name, e.State, seconds(ended(e).Sub(e.Created)), message)
	fmt.Fprintf(g.Out, "trials      %s\n", strings.Join(words, ", "))
	best := tuner.Optimal(e, trials)
	if best == nil {
		return
	}
	var values []string
	for _, m := range e.Metrics() {
		values = append(values, fmt.Sprintf("%s %s", m, figure(best.Value(e, m))))
	}
	fmt.Fprintf(g.Out, "best        %s: %s\n", best.Name, strings.Join(values, ", "))
	for _, a := range best.Assignments(e) {
		fmt.Fprintf(g.Out, "            %s = %s\n", a.Name, a.Value)
	}
	for _, t := range tuner.Pareto(e, trials) {
		var values []string
		for _, o := range e.Objectives {
			values = append(values, fmt.Sprintf("%s %s", o.Metric, figure(t.Value(e, o.Metric))))
		}
		fmt.Fprintf(g.Out, "no better   %s: %s  %s\n", t.Name, strings.Join(values, ", "), assignments(e, t))
	}
	if shares := tuner.Importance(e, trials); shares != nil && len(e.Parameters) > 1 {
		fmt.Fprintf(g.Out, "importance  %s\n", importanceText(e, shares))
	}
	if plot := plotBest(e, trials, 60, 8); plot != "" {
		fmt.Fprintf(g.Out, "\n%s\n", plot)
	}
	if !e.Asked() {
		fmt.Fprintf(g.Out, "again       %s\n", againCommand(e, best))
	}
}

// importanceText names the parameters, the one that matters most first.
func importanceText(e *tuner.Experiment, shares []float64) string {
	order := make([]int, len(shares))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(shares[b], shares[a]) })
	var words []string
	for _, i := range order {
		words = append(words, fmt.Sprintf("%s %.0f%%", e.Parameters[i].Name, 100*shares[i]))
	}
	return strings.Join(words, ", ")
}

func ended(e *tuner.Experiment) time.Time {
	if e.Ended.IsZero() {
		return time.Now()
	}
	return e.Ended
}

// againCommand is the command that runs the best trial once more.
func againCommand(e *tuner.Experiment, best *tuner.Trial) string {
	return "wherry rerun " + best.Run
}

// showExperiment prints what an experiment would do.
func (g *globals) showExperiment(e *tuner.Experiment) error {
	if g.structured() {
		return g.printDocument(map[string]any{"experiment": e})
	}
	fmt.Fprintf(g.Out, "experiment  %s\n", e.Name)
	for _, o := range e.Objectives {
		direction := "minimize"
		if o.Maximize {
			direction = "maximize"
		}
		goal := ""
		if o.Goal != nil {
			goal = fmt.Sprintf(", until it is %g", *o.Goal)
		}
		fmt.Fprintf(g.Out, "objective   %s %s%s\n", direction, o.Metric, goal)
	}
	fmt.Fprintf(g.Out, "algorithm   %s\n", e.Algorithm.Name)
	if e.Stopping != nil {
		fmt.Fprintf(g.Out, "stops early %s\n", e.Stopping.Name)
	}
	for i := range e.Parameters {
		fmt.Fprintf(g.Out, "parameter   %s\n", tuner.FormatParameter(&e.Parameters[i]))
	}
	trials := "as many as the space has"
	if e.MaxTrials > 0 {
		trials = fmt.Sprint(e.MaxTrials)
	}
	fmt.Fprintf(g.Out, "trials      %s, %d at once, of pipeline %s\n", trials, e.Parallel, e.Trial.Pipeline.Name)
	return nil
}

// resumeExperiment goes on with the newest experiment of that name.
func (g *globals) resumeExperiment(ctx context.Context, e *tuner.Experiment, more bool) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	row, err := db.FindExperiment(ctx, e.Name)
	if err != nil {
		return err
	}
	maxTrials := 0
	if more {
		maxTrials = e.MaxTrials
	}
	return g.goOnExperiment(ctx, row.ID, maxTrials)
}

// goOnExperiment goes on with an experiment. maxTrials, where not 0, is how many trials
// there may be now.
func (g *globals) goOnExperiment(ctx context.Context, id string, maxTrials int) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	e, trials, _, err := db.LoadExperiment(ctx, id, false)
	if err != nil {
		return err
	}
	if e.Asked() {
		return &usageError{msg: fmt.Sprintf("experiment %s runs no trials itself: whoever asks for one does", e.Name), mend: "wherry suggest " + e.Name}
	}
	grows := maxTrials > e.MaxTrials
	if e.State.Ended() && (!grows || e.Reason != tuner.ReasonMaxTrials) {
		return g.printExperiment(e, trials)
	}
	if e.State.Ended() && e.ResumePolicy == tuner.ResumeNever {
		return &usageError{msg: fmt.Sprintf("experiment %s has ended, and its resumePolicy is Never", e.Name), mend: "resumePolicy: LongRunning, or a new experiment"}
	}
	lock, err := g.lockRun(ctx, e.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	r, _, err := g.trialRunner(ctx, e.Trial.Options, e.ID)
	if err != nil {
		return err
	}
	defer g.letGo()
	if grows {
		e.MaxTrials = maxTrials
	}
	if e.State.Ended() {
		e.State, e.Reason, e.Message, e.Ended = tuner.Restarting, tuner.ReasonRestarting, "", time.Time{}
	}
	if err := r.db.CommitTrials(ctx, tuner.Batch{Experiment: e, Spec: true}); err != nil {
		return err
	}
	g.note(fmt.Sprintf("going on with experiment %s: %d trials are on record", e.Name, len(trials)))
	return g.driveExperiment(ctx, e, trials, r, lock)
}
