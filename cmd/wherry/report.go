package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

type reportFlags struct {
	step    int64
	failed  string
	running bool
}

func newReportCmd(g *globals) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report EXPERIMENT|FILE TRIAL [METRIC=VALUE]…",
		Short: "Say what a trial of wherry suggest has measured",
		Long: `Report ends a trial that wherry suggest has handed out, with the values that it has
measured. With --running it goes on: report values while it trains, each with its --step,
and early stopping can tell that it is not worth more: then report exits with 1, and the
trial has ended as EarlyStopped. A trial that nobody goes on with is ended with --failed.
To an experiment that runs its trials itself and has the collector Push or None, --running
hands in what somebody else has measured.`,
		Example: `  wherry report search search-1 loss=0.31 accuracy=0.9
  wherry report experiment.yaml digits-3 loss=0.7 --step 4 --running || exit 0
  wherry report search search-2 --failed "out of memory"`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("failed") && f.failed == "" {
				f.failed = "no reason was given"
			}
			return g.tellTrial(cmd.Context(), args[0], args[1], args[2:], f)
		},
	}
	fl := cmd.Flags()
	fl.Int64Var(&f.step, "step", -1, "`N` of the step at which this was measured")
	fl.StringVar(&f.failed, "failed", "", "the trial has failed, for this `REASON`")
	fl.BoolVar(&f.running, "running", false, "the trial goes on")
	return cmd
}

// tellTrial hands a report to the experiment, and prints what became of the trial.
func (g *globals) tellTrial(ctx context.Context, ref, trial string, values []string, f reportFlags) error {
	r := tuner.Report{Running: f.running, Failed: f.failed}
	if f.running && f.failed != "" {
		return &usageError{msg: "a trial goes on (--running) or has failed (--failed), not both", mend: "leave out one of them"}
	}
	for _, text := range values {
		name, value, ok := strings.Cut(text, "=")
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if !ok || err != nil {
			return &usageError{msg: fmt.Sprintf("%q is not METRIC=NUMBER", text), mend: "loss=0.31"}
		}
		r.Values = append(r.Values, metrics.Observation{Metric: name, Value: v, Step: f.step})
	}
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	id, err := reported(ctx, db, ref)
	if err != nil {
		return err
	}
	c := &tuner.Controller{Store: db}
	e, t, err := c.Tell(ctx, id, trial, r)
	if e != nil && !e.Asked() {
		return g.push(ctx, db, id, trial, r)
	}
	if err != nil {
		return err
	}
	return g.printReport(e, t)
}

// push hands a report to an experiment that runs its trials itself and waits for what
// somebody else measures of them (its collector is Push or None).
func (g *globals) push(ctx context.Context, db *sqlite.DB, id, trial string, r tuner.Report) error {
	e, trials, _, err := db.LoadExperiment(ctx, id, false)
	if err != nil {
		return err
	}
	if k := e.Collector.Kind; k != tuner.Push && k != tuner.NoCollector {
		return &usageError{msg: fmt.Sprintf("experiment %s finds its trials' metrics itself (collector %s)", e.Name, k), mend: "collector: {kind: Push}, or wherry suggest for trials that you run yourself"}
	}
	if !r.Running {
		return &usageError{msg: fmt.Sprintf("experiment %s runs its trials itself: they end with their runs", e.Name), mend: "--running"}
	}
	i := slices.IndexFunc(trials, func(t *tuner.Trial) bool { return t.Name == trial })
	if i < 0 {
		return &usageError{msg: fmt.Sprintf("experiment %s has no trial %q", e.Name, trial), mend: "wherry get trials " + e.ID + " lists them"}
	}
	for j := range r.Values {
		r.Values[j].Time = time.Now()
	}
	if err := db.Report(ctx, id, trials[i].Number, r.Values); err != nil {
		return err
	}
	return g.printReport(e, trials[i])
}

// reported finds the experiment that a report is for, by a file of it or by its name or
// id.
func reported(ctx context.Context, db *sqlite.DB, ref string) (string, error) {
	if info, err := os.Stat(ref); err == nil && info.Mode().IsRegular() {
		e, err := askedFile(ref)
		if err != nil {
			return "", err
		}
		ref = e.Name
	}
	return db.FindAsked(ctx, ref)
}

func (g *globals) printReport(e *tuner.Experiment, t *tuner.Trial) error {
	if g.structured() {
		if err := g.printDocument(map[string]any{"experiment": askedDocument(e), "trial": newTrialDocument(e, t)}); err != nil {
			return err
		}
	} else {
		words := []string{t.Name, string(t.State)}
		for _, m := range t.Summary {
			words = append(words, m.Name+"="+metrics.Format(t.Value(e, m.Name)))
		}
		fmt.Fprintln(g.Out, strings.Join(words, " "))
	}
	if e.State.Ended() {
		g.note(fmt.Sprintf("experiment %s: %s: %s", e.Name, e.State, e.Message))
	}
	if t.State == tuner.TrialEarlyStopped {
		return &workError{state: dag.Failed, msg: fmt.Sprintf("trial %s is stopped early: %s", t.Name, t.Reason), mend: "wherry suggest " + e.Name + " for the next one"}
	}
	return nil
}
