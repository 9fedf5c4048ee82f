package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/tuner"
)

// ExperimentRow is an experiment in a list.
type ExperimentRow struct {
	ID, Name string
	State    tuner.State
	Reason   string
	Trials   int
	Done     int  // ended ones
	Asked    bool // somebody else runs them: nobody drives it
	Created  time.Time
	Ended    time.Time
}

// Run is the id of the run that the experiment is a tuning step of, and which drives
// it; empty: it is one of its own.
func (r *ExperimentRow) Run() string {
	run, _, ok := strings.Cut(r.ID, "-")
	if !ok {
		return ""
	}
	return run
}

func experimentRows(q querier, rest string, args ...any) (list []ExperimentRow, err error) {
	err = each(q, func(rows *sql.Rows) error {
		var r ExperimentRow
		var created, ended int64
		err := rows.Scan(&r.ID, &r.Name, &r.State, &r.Reason, &created, &ended, &r.Trials, &r.Done, &r.Asked)
		r.Created, r.Ended = moment(created), moment(ended)
		list = append(list, r)
		return err
	}, `SELECT e.id, e.name, e.state, e.reason, e.created, e.ended,
			(SELECT count(*) FROM trials t WHERE t.experiment = e.id),
			(SELECT count(*) FROM trials t WHERE t.experiment = e.id AND t.state NOT IN ('Created', 'Running')),
			json_extract(e.spec, '$.trial.pipeline') IS NULL
		FROM experiments e`+rest, args...)
	return list, err
}

// ListExperiments returns experiments, newest first; limit 0: all.
func (d *DB) ListExperiments(ctx context.Context, n int) (list []ExperimentRow, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err = experimentRows(s, ` ORDER BY e.created DESC, e.id DESC LIMIT ?`, limit(n))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list experiments: %w", err)
	}
	return list, nil
}

// OpenExperiments returns the experiments that have not ended, oldest first, but for
// those whose trials somebody else runs. Whether one has lost its driver, its owner lock
// says.
func (d *DB) OpenExperiments(ctx context.Context) (list []ExperimentRow, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err = experimentRows(s, ` WHERE e.state NOT IN (?, ?) AND json_extract(e.spec, '$.trial.pipeline') IS NOT NULL ORDER BY e.created, e.id`, tuner.Succeeded, tuner.Failed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for interrupted experiments: %w", err)
	}
	return list, nil
}

// FindExperiment returns the experiment that ref names: an id, "last", a name (the
// newest of it) or a unique prefix of an id. Else it is a *NotFoundError or an
// *AmbiguousError.
func (d *DB) FindExperiment(ctx context.Context, ref string) (found *ExperimentRow, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		found, err = findExperiment(s, ref)
		return err
	})
	return found, err
}

func findExperiment(s *snapshot, ref string) (*ExperimentRow, error) {
	if ref == "" {
		return nil, &NotFoundError{Kind: "experiment", Ref: ref}
	}
	tries := []string{
		` WHERE e.id = ?1`,
		` WHERE ?1 = 'last' ORDER BY e.created DESC, e.id DESC LIMIT 1`,
		` WHERE e.name = ?1 ORDER BY e.created DESC, e.id DESC LIMIT 1`,
		` WHERE e.id >= ?1 AND e.id < ?1 || char(1114111) ORDER BY e.created DESC LIMIT 5`,
	}
	for _, where := range tries {
		list, err := experimentRows(s, where, ref)
		if err != nil {
			return nil, err
		}
		if len(list) == 1 {
			return &list[0], nil
		}
		if len(list) > 1 {
			e := &AmbiguousError{Kind: "experiment", Ref: ref}
			for _, r := range list {
				e.Matches = append(e.Matches, r.ID+" ("+r.Name+")")
			}
			return nil, e
		}
	}
	near, err := nearest(s, ref, `SELECT name FROM (SELECT name, max(created) AS at FROM experiments GROUP BY name ORDER BY at DESC LIMIT 1000)`)
	return nil, errors.Join(err, &NotFoundError{Kind: "experiment", Ref: ref, Near: near})
}
