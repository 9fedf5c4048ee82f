package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

var _ tuner.Store = (*DB)(nil)

// CreateExperiment stores a new experiment.
func (d *DB) CreateExperiment(ctx context.Context, e *tuner.Experiment) error {
	spec, err := experimentSpec(e)
	if err != nil {
		return fmt.Errorf("create experiment %q: %w", e.Name, err)
	}
	err = d.update(ctx, true, func(t *tx) error {
		_, err := t.exec(`INSERT INTO experiments (id, name, spec, state, reason, message, created, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			e.ID, e.Name, spec, e.State, e.Reason, e.Message, stamp(e.Created), stamp(e.Ended))
		return err
	})
	if err != nil {
		return fmt.Errorf("create experiment %q: %w", e.Name, err)
	}
	return nil
}

// experimentSpec is an experiment as JSON, without values of secrets.
func experimentSpec(e *tuner.Experiment) (string, error) {
	c := *e
	c.Trial.Options.Env = withoutSecrets(c.Trial.Options.Env)
	return encode(c)
}

// CommitTrials writes a batch of one experiment.
func (d *DB) CommitTrials(ctx context.Context, b tuner.Batch) error {
	e := b.Experiment
	err := d.update(ctx, b.Durable, func(t *tx) error {
		res, err := t.exec(`UPDATE experiments SET state = ?, reason = ?, message = ?, ended = ?, revision = revision + 1
			WHERE id = ? AND (? OR revision = ?)`,
			e.State, e.Reason, e.Message, stamp(e.Ended), e.ID, !b.Exclusive, e.Revision)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 && b.Exclusive {
			return cmp.Or(err, tuner.ErrConflict)
		}
		if b.Spec {
			spec, err := experimentSpec(e)
			if err != nil {
				return err
			}
			if _, err := t.exec(`UPDATE experiments SET spec = ? WHERE id = ?`, spec, e.ID); err != nil {
				return err
			}
		}
		for _, trial := range b.Trials {
			if err := storeTrial(t, e.ID, trial); err != nil {
				return err
			}
		}
		for _, o := range b.Observed {
			if err := storeObserved(t, e.ID, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write trials of experiment %s: %w", e.Name, err)
	}
	return nil
}

func storeTrial(t *tx, experiment string, r *tuner.Trial) error {
	summary, err := json.Marshal(storedSummary(r.Summary))
	if err != nil {
		return err
	}
	p := r.Proposal
	_, err = t.exec(`INSERT INTO trials (experiment, number, name, state, reason, stop, point, resource, bracket, rung, parent, run, summary, created, started, ended)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (experiment, number) DO UPDATE SET state = excluded.state, reason = excluded.reason, stop = excluded.stop,
			run = excluded.run, summary = excluded.summary, started = excluded.started, ended = excluded.ended`,
		experiment, r.Number, r.Name, r.State, r.Reason, r.Stop, pointText(p.Point), p.Resource, p.Bracket, p.Rung, p.Parent,
		r.Run, string(summary), stamp(r.Created), stamp(r.Started), stamp(r.Ended))
	return err
}

func storeObserved(t *tx, experiment string, o tuner.Observed) error {
	if o.First == 0 && o.Attempt > 1 {
		if _, err := t.exec(`DELETE FROM observations WHERE experiment = ? AND trial = ? AND stream = ? AND attempt < ?`,
			experiment, o.Trial, o.Stream, o.Attempt); err != nil {
			return err
		}
	}
	for i, x := range o.List {
		value := sql.NullFloat64{Float64: x.Value, Valid: !math.IsNaN(x.Value)}
		if _, err := t.exec(`INSERT INTO observations (experiment, trial, stream, attempt, number, metric, value, time, step)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			experiment, o.Trial, o.Stream, o.Attempt, o.First+int64(i), x.Metric, value, stamp(x.Time), x.Step); err != nil {
			return err
		}
	}
	return nil
}

// pointText writes coordinates, of which some may be NaN, which JSON does not know.
func pointText(p suggest.Point) string {
	words := make([]string, len(p))
	for i, v := range p {
		words[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(words, " ")
}

func parsePoint(text string) (p suggest.Point, err error) {
	for _, w := range strings.Fields(text) {
		v, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return nil, err
		}
		p = append(p, v)
	}
	return p, nil
}

// storedMetric is a metrics.Metric whose numbers may be NaN and infinite.
type storedMetric struct {
	Name   string `json:"name"`
	Min    string `json:"min"`
	Max    string `json:"max"`
	Latest string `json:"latest"`
	Count  int64  `json:"count"`
	NaNs   int64  `json:"nans,omitempty"`
}

func storedSummary(list []metrics.Metric) []storedMetric {
	out := make([]storedMetric, 0, len(list))
	for _, m := range list {
		text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		out = append(out, storedMetric{m.Name, text(m.Min), text(m.Max), text(m.Latest), m.Count, m.NaNs})
	}
	return out
}

func parseSummary(text string) (list []metrics.Metric, err error) {
	var stored []storedMetric
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	number := func(s string) float64 {
		v, e := strconv.ParseFloat(s, 64)
		if e != nil {
			err = e
		}
		return v
	}
	for _, m := range stored {
		list = append(list, metrics.Metric{Name: m.Name, Min: number(m.Min), Max: number(m.Max), Latest: number(m.Latest), Count: m.Count, NaNs: m.NaNs})
	}
	return list, err
}

// LoadExperiment returns an experiment with its trials and what was observed of those
// that have not ended; with curves also the leading objective of the others.
func (d *DB) LoadExperiment(ctx context.Context, id string, curves bool) (e *tuner.Experiment, trials []*tuner.Trial, observed []tuner.Observed, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		if e, err = loadExperiment(s, id); err != nil {
			return err
		}
		if trials, err = loadTrials(s, id); err != nil {
			return err
		}
		lead := ""
		if curves {
			lead = e.Objectives[0].Metric
		}
		observed, err = loadObserved(s, id, lead)
		return err
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("load experiment %s: %w", id, err)
	}
	return e, trials, observed, nil
}

func loadExperiment(s *snapshot, id string) (*tuner.Experiment, error) {
	e := &tuner.Experiment{}
	var spec string
	var created, ended int64
	err := s.row(`SELECT spec, state, reason, message, created, ended, revision FROM experiments WHERE id = ?`, id).
		Scan(&spec, &e.State, &e.Reason, &e.Message, &created, &ended, &e.Revision)
	if err == sql.ErrNoRows {
		return nil, &NotFoundError{Kind: "experiment", Ref: id}
	}
	if err != nil {
		return nil, err
	}
	if err := decode(spec, e); err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	e.ID, e.Created, e.Ended = id, moment(created), moment(ended)
	return e, nil
}

func loadTrials(s *snapshot, id string) (list []*tuner.Trial, err error) {
	err = each(s, func(rows *sql.Rows) error {
		t := &tuner.Trial{}
		var point, summary string
		var created, started, ended int64
		p := &t.Proposal
		err := rows.Scan(&t.Number, &t.Name, &t.State, &t.Reason, &t.Stop, &point, &p.Resource, &p.Bracket, &p.Rung, &p.Parent,
			&t.Run, &summary, &created, &started, &ended)
		if err != nil {
			return err
		}
		if p.Point, err = parsePoint(point); err != nil {
			return err
		}
		if t.Summary, err = parseSummary(summary); err != nil {
			return err
		}
		t.Created, t.Started, t.Ended = moment(created), moment(started), moment(ended)
		list = append(list, t)
		return nil
	}, `SELECT number, name, state, reason, stop, point, resource, bracket, rung, parent, run, summary, created, started, ended
		FROM trials WHERE experiment = ? ORDER BY number`, id)
	return list, err
}

func loadObserved(s *snapshot, id, lead string) ([]tuner.Observed, error) {
	return queryObserved(s, `(t.state IN ('Created', 'Running') OR o.metric = ?2)`, id, lead)
}

// queryObserved returns the observations of the experiment ?1 for which a condition holds.
func queryObserved(s *snapshot, where string, args ...any) (list []tuner.Observed, err error) {
	err = each(s, func(rows *sql.Rows) error {
		var o tuner.Observed
		var x metrics.Observation
		var value sql.NullFloat64
		var time int64
		if err := rows.Scan(&o.Trial, &o.Stream, &o.Attempt, &o.First, &x.Metric, &value, &time, &x.Step); err != nil {
			return err
		}
		x.Value, x.Time = value.Float64, moment(time)
		if !value.Valid {
			x.Value = math.NaN()
		}
		if n := len(list) - 1; n >= 0 && list[n].Trial == o.Trial && list[n].Stream == o.Stream && list[n].Attempt == o.Attempt {
			list[n].List = append(list[n].List, x)
			return nil
		}
		o.First, o.List = 0, []metrics.Observation{x} // of an ended trial numbers have gaps, and mean nothing more
		list = append(list, o)
		return nil
	}, `SELECT o.trial, o.stream, o.attempt, o.number, o.metric, o.value, o.time, o.step
		FROM observations o JOIN trials t ON t.experiment = o.experiment AND t.number = o.trial
		WHERE o.experiment = ?1 AND `+where+`
		ORDER BY o.trial, o.stream, o.attempt, o.number`, args...)
	return list, err
}
