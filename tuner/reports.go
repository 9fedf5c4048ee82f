package tuner

import (
	"context"
	"fmt"

	"github.com/wherry-ml/wherry/tuner/metrics"
)

// ReportStream is the stream of what somebody else observed of a trial.
const ReportStream = "report"

// Reports is a Store that also takes in what somebody else observed of a trial, in
// another process perhaps. Where the collector is Push or None, a Controller looks
// there for what is new.
type Reports interface {
	// Report adds observations to a trial that runs. It is a *ReportError where the
	// trial has ended, or the experiment has no such metric.
	Report(ctx context.Context, experiment string, trial int, list []metrics.Observation) error
	// Reported returns what was reported of the trials that run.
	Reported(ctx context.Context, experiment string) ([]Observed, error)
}

// ReportError says why a report can't be taken.
type ReportError struct {
	Trial string
	Msg   string
}

func (e *ReportError) Error() string { return fmt.Sprintf("report of trial %s: %s", e.Trial, e.Msg) }

// pushed reports whether metrics come by reports alone.
func (e *Experiment) pushed() bool {
	return e.Collector.Kind == Push || e.Collector.Kind == NoCollector
}

// takeReports takes in what was reported since the last look. An error comes again
// with the next.
func (d *drive) takeReports() error {
	store, ok := d.Store.(Reports)
	if !ok || !d.e.pushed() {
		return nil
	}
	list, err := store.Reported(context.WithoutCancel(d.ctx), d.e.ID)
	if err != nil {
		return err
	}
	for _, o := range list {
		if d.live[o.Trial] != nil {
			d.measured(d.trials[o.Trial], o)
		}
	}
	return nil
}
