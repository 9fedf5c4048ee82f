package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/wherry-ml/wherry/dag"
)

// TakenIn says what an Import has brought.
type TakenIn struct {
	Runs       []string // that are new here
	Executions int      // that are new here
	Entries    int      // cache entries that are new here
}

// Import brings incoming records in, in one transaction. What is here already, by the
// ids of runs and the paths of their tasks, stays as it is; so does a cache entry of
// the same key.
func (d *DB) Import(ctx context.Context, in *Incoming, from Places) (*TakenIn, error) {
	r := in.records
	if err := r.translate(from); err != nil {
		return nil, fmt.Errorf("import records: %w", err)
	}
	var out *TakenIn
	err := d.update(ctx, true, func(t *tx) error {
		m := &merge{t: t, r: r, out: &TakenIn{}, fresh: map[int64]bool{},
			artifacts: map[int64]int64{}, executions: map[int64]int64{}}
		for _, step := range []func() error{m.putArtifacts, m.putRuns, m.putExecutions, m.putRest} {
			if err := step(); err != nil {
				return err
			}
		}
		out = m.out
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import records: %w", err)
	}
	return out, nil
}

// merge is one Import. The maps lead from the ids there to those here.
type merge struct {
	t     *tx
	r     *Records
	out   *TakenIn
	fresh map[int64]bool // executions, by their id there, that are new here

	artifacts, executions map[int64]int64
}

// pipeline returns the id here of a pipeline there.
func (m *merge) pipeline(was int64) (int64, error) {
	t := m.r.table("pipelines")
	for _, row := range t.Rows {
		if t.number(row, "id") == was {
			return pipelineID(m.t, t.text(row, "name"), t.text(row, "json"), t.number(row, "created"))
		}
	}
	return 0, fmt.Errorf("pipeline %d is not among the records", was)
}

func (m *merge) putArtifacts() error {
	t := m.r.table("artifacts")
	for _, row := range t.Rows {
		was := t.number(row, "id")
		var id int64
		err := m.t.row(`SELECT id FROM artifacts WHERE uri = ? AND digest = ? AND name = ? AND type = ? AND created = ? ORDER BY id LIMIT 1`,
			t.text(row, "uri"), t.text(row, "digest"), t.text(row, "name"), t.text(row, "type"), t.number(row, "created")).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			id, err = m.insert(t, row)
		}
		if err != nil {
			return err
		}
		m.artifacts[was] = id
	}
	return nil
}

// insert inserts a row under an id of this database.
func (m *merge) insert(t *tableRows, row []any) (int64, error) {
	row = slices.Clone(row)
	*t.cell(row, "id") = nil
	if err := insertRow(m.t, t.Name, t.Columns, row, ""); err != nil {
		return 0, err
	}
	var id int64
	err := m.t.row(`SELECT last_insert_rowid()`).Scan(&id)
	return id, err
}

func (m *merge) putRuns() error {
	t := m.r.table("runs")
	for _, row := range t.Rows {
		id := t.text(row, "id")
		var there int
		if err := m.t.row(`SELECT count(*) FROM runs WHERE id = ?`, id).Scan(&there); err != nil {
			return err
		}
		if there > 0 {
			continue
		}
		if !dag.State(t.text(row, "state")).Ended() {
			return fmt.Errorf("run %q has not ended", id)
		}
		row = slices.Clone(row)
		pipeline, err := m.pipeline(t.number(row, "pipeline"))
		if err != nil {
			return err
		}
		*t.cell(row, "pipeline") = pipeline
		if err := m.values(t, row, "outputs"); err != nil {
			return err
		}
		if err := insertRow(m.t, t.Name, t.Columns, row, ""); err != nil {
			return err
		}
		m.out.Runs = append(m.out.Runs, id)
	}
	return nil
}

// putExecutions inserts those that are new, parents first: an id is higher than that
// of the group around it.
func (m *merge) putExecutions() error {
	t := m.r.table("executions")
	for _, row := range t.Rows {
		was := t.number(row, "id")
		var id int64
		err := m.t.row(`SELECT id FROM executions WHERE run = ? AND path = ?`, t.text(row, "run"), t.text(row, "path")).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			id, err = m.putExecution(t, slices.Clone(row))
			m.fresh[was] = true
			m.out.Executions++
		}
		if err != nil {
			return err
		}
		m.executions[was] = id
	}
	return nil
}

func (m *merge) putExecution(t *tableRows, row []any) (int64, error) {
	if parent := t.number(row, "parent"); parent != 0 {
		id, ok := m.executions[parent]
		if !ok {
			return 0, fmt.Errorf("task %q comes before the group that it is in", t.text(row, "path"))
		}
		*t.cell(row, "parent") = id
	}
	*t.cell(row, "source") = m.executions[t.number(row, "source")] // 0 where it has not come along
	if err := errors.Join(m.values(t, row, "inputs"), m.values(t, row, "outputs")); err != nil {
		return 0, err
	}
	return m.insert(t, row)
}

// values gives the artifacts in a column their ids here.
func (m *merge) values(t *tableRows, row []any, column string) error {
	stored, err := decodeStored(t.text(row, column))
	if err != nil || stored.Parameters == nil && stored.Artifacts == nil {
		return err
	}
	for name, ids := range stored.Artifacts {
		for i, was := range ids {
			id, ok := m.artifacts[was]
			if !ok {
				return fmt.Errorf("artifact %d of %q is not among the records", was, name)
			}
			ids[i] = id
		}
	}
	stored.Parameters = exactMap(stored.Parameters)
	*t.cell(row, column), err = encode(stored)
	return err
}

// putRest inserts what belongs to executions that are new here, and the cache
// entries of all.
func (m *merge) putRest() error {
	for _, c := range carried {
		if c.column != "execution" {
			continue
		}
		t := m.r.table(c.table)
		rest := ""
		if c.table == "cache_entries" {
			rest = `ON CONFLICT DO NOTHING`
		}
		for _, row := range t.Rows {
			if err := m.putOne(t, slices.Clone(row), rest); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *merge) putOne(t *tableRows, row []any, rest string) error {
	was := t.number(row, "execution")
	if rest == "" && !m.fresh[was] {
		return nil
	}
	*t.cell(row, "execution") = m.executions[was]
	if slices.Contains(t.Columns, "artifact") {
		*t.cell(row, "artifact") = m.artifacts[t.number(row, "artifact")]
	}
	if err := insertRow(m.t, t.Name, t.Columns, row, rest); err != nil {
		return fmt.Errorf("table %s: %w", t.Name, err)
	}
	if t.Name == "cache_entries" {
		var n int
		if err := m.t.row(`SELECT changes()`).Scan(&n); err != nil {
			return err
		}
		m.out.Entries += n
	}
	return nil
}
