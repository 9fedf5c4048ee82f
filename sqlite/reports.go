package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

var _ tuner.Reports = (*DB)(nil)

// Report implements tuner.Reports.
func (d *DB) Report(ctx context.Context, experiment string, trial int, list []metrics.Observation) error {
	e, trials, _, err := d.LoadExperiment(ctx, experiment, false)
	if err != nil {
		return err
	}
	if trial < 0 || trial >= len(trials) {
		return &tuner.ReportError{Trial: fmt.Sprint(trial + 1), Msg: "there is no such trial of " + e.Name}
	}
	name := trials[trial].Name
	for _, o := range list {
		if !slices.Contains(e.Metrics(), o.Metric) {
			return &tuner.ReportError{Trial: name, Msg: fmt.Sprintf("%q is none of the experiment's metrics: %s", o.Metric, strings.Join(e.Metrics(), ", "))}
		}
	}
	return d.update(ctx, true, func(t *tx) error {
		var state tuner.TrialState
		var next int64
		err := t.row(`SELECT state, (SELECT coalesce(max(number) + 1, 0) FROM observations o
				WHERE o.experiment = t.experiment AND o.trial = t.number AND o.stream = ?)
			FROM trials t WHERE experiment = ? AND number = ?`, tuner.ReportStream, experiment, trial).Scan(&state, &next)
		if errors.Is(err, sql.ErrNoRows) || err == nil && state.Ended() {
			return &tuner.ReportError{Trial: name, Msg: "it has ended"}
		}
		if err != nil {
			return err
		}
		return storeObserved(t, experiment, tuner.Observed{Trial: trial, Stream: tuner.ReportStream, Attempt: 1, First: next, List: list})
	})
}

// Reported implements tuner.Reports.
func (d *DB) Reported(ctx context.Context, experiment string) (list []tuner.Observed, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err = queryObserved(s, `t.state IN ('Created', 'Running') AND o.stream = ?2`, experiment, tuner.ReportStream)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read reports of experiment %s: %w", experiment, err)
	}
	return list, nil
}
