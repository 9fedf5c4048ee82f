package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// NotEndedError says that a run can't be forgotten yet.
type NotEndedError struct{ Run string }

func (e *NotEndedError) Error() string { return fmt.Sprintf("run %s has not ended", e.Run) }

// Hint says what to do next.
func (e *NotEndedError) Hint() string {
	return fmt.Sprintf("wherry resume %s ends it, wherry cancel %s too", e.Run, e.Run)
}

// jsonList is an array for json_each; nil would be null, which makes NOT IN false
// of everything.
func jsonList[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	return encode(list)
}

// heirs finds for each cache entry of an execution in the given runs the newest
// execution elsewhere that can stand for it.
const heirs = `WITH kept AS MATERIALIZED (
		SELECT key, max(id) AS id FROM executions
		WHERE key <> '' AND state = 'SUCCEEDED' AND run NOT IN (SELECT value FROM json_each(?1)) GROUP BY key)
	SELECT c.key, c.execution, c.used, kept.id
	FROM executions e JOIN cache_entries c ON c.execution = e.id LEFT JOIN kept ON kept.key = c.key
	WHERE e.run IN (SELECT value FROM json_each(?1))`

type heir struct {
	key       string
	execution int64
	used      int64
	next      sql.NullInt64
}

func heirsOf(q querier, runs []string) (list []heir, err error) {
	text, err := jsonList(runs)
	if err != nil {
		return nil, err
	}
	err = each(q, func(rows *sql.Rows) error {
		var h heir
		err := rows.Scan(&h.key, &h.execution, &h.used, &h.next)
		list = append(list, h)
		return err
	}, heirs, text)
	return list, err
}

// InUse returns those of the given runs of which a cache entry was used since the
// given moment, and that no run beside them could stand for.
func (d *DB) InUse(ctx context.Context, runs []string, since time.Time) (map[string]bool, error) {
	in := map[string]bool{}
	err := d.view(ctx, func(s *snapshot) error {
		list, err := heirsOf(s, runs)
		if err != nil {
			return err
		}
		executions := map[int64]bool{}
		for _, h := range list {
			if h.used >= since.UnixNano() && !h.next.Valid {
				executions[h.execution] = true
			}
		}
		ids, err := idList(executions)
		if err != nil {
			return err
		}
		used, err := texts(s, `SELECT DISTINCT run FROM executions WHERE id IN (SELECT value FROM json_each(?))`, ids)
		for _, run := range used {
			in[run] = true
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up which cache entries were used: %w", err)
	}
	return in, nil
}

// Retire takes runs that are to be forgotten out of the cache: from now on no task
// is given their results. An entry that another run has used becomes that run's,
// and lineage goes on through it.
func (d *DB) Retire(ctx context.Context, runs []string) error {
	err := d.update(ctx, false, func(t *tx) error {
		if err := allEnded(t, runs); err != nil {
			return err
		}
		list, err := heirsOf(t, runs)
		if err != nil {
			return err
		}
		for _, h := range list {
			if err := h.inherit(t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take runs out of the cache: %w", err)
	}
	return nil
}

func (h heir) inherit(t *tx) error {
	if !h.next.Valid {
		_, err := t.exec(`DELETE FROM cache_entries WHERE key = ?`, h.key)
		return err
	}
	for _, q := range []string{
		`UPDATE cache_entries SET execution = ?1 WHERE execution = ?2`,
		`UPDATE OR REPLACE reads SET execution = ?1 WHERE execution = ?2`,
	} {
		if _, err := t.exec(q, h.next.Int64, h.execution); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE events SET follow = 1 WHERE execution = ?1 AND (output = 0 OR NOT EXISTS (
		SELECT 1 FROM events i WHERE i.execution = ?1 AND i.output = 0 AND i.artifact = events.artifact))`, h.next.Int64)
	return err
}

func allEnded(t *tx, runs []string) error {
	for _, run := range runs {
		var state dag.State
		err := t.row(`SELECT state FROM runs WHERE id = ?`, run).Scan(&state)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && !state.Ended() {
			return &NotEndedError{Run: run}
		}
	}
	return nil
}

// NeededError says that a run which has not ended takes results from another.
type NeededError struct{ Run string }

func (e *NeededError) Error() string {
	return fmt.Sprintf("run %s is needed by a rerun that has not ended", e.Run)
}

// Bases returns the runs that others, which have not ended, take results from.
func (d *DB) Bases(ctx context.Context) (base map[string]bool, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		base, err = basesOf(s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up what reruns need: %w", err)
	}
	return base, nil
}

func basesOf(q querier) (map[string]bool, error) {
	list, err := texts(q, `SELECT coalesce(options ->> '$.base', '') FROM runs
		WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED')`)
	base := map[string]bool{}
	for _, run := range list {
		base[run] = true
	}
	return base, err
}

// Forget deletes a run that has ended with all that is on record of it; Tidy then
// deletes its artifacts. The caller holds the run's lock, and has called Retire.
// One that is gone is no error; one that a rerun needs is a *NeededError.
func (d *DB) Forget(ctx context.Context, run string) error {
	err := d.update(ctx, false, func(t *tx) error {
		if err := allEnded(t, []string{run}); err != nil {
			return err
		}
		if base, err := basesOf(t); err != nil || base[run] {
			return errors.Join(err, &NeededError{Run: run})
		}
		for _, q := range []string{`DELETE FROM admissions WHERE run = ?`, `DELETE FROM runs WHERE id = ?`} {
			if _, err := t.exec(q, run); err != nil {
				return err
			}
		}
		_, err := t.exec(`DELETE FROM pipelines WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.pipeline = pipelines.id)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget run %s: %w", run, err)
	}
	return nil
}

// ForgetExperiment deletes what is on record of an experiment, its trials and what they have
// measured; false: the run of a trial is there. The caller holds its lock. One that is gone is
// no error.
func (d *DB) ForgetExperiment(ctx context.Context, id string) (gone bool, err error) {
	err = d.update(ctx, false, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM experiments WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE experiment = ?1)`, id); err != nil {
			return err
		}
		return t.row(`SELECT NOT EXISTS (SELECT 1 FROM experiments WHERE id = ?)`, id).Scan(&gone)
	})
	if err != nil {
		return false, fmt.Errorf("forget experiment %s: %w", id, err)
	}
	return gone, nil
}

// Tidy deletes the artifacts on record that no run refers to. A transaction puts
// an artifact on record together with what refers to it.
func (d *DB) Tidy(ctx context.Context) error {
	err := d.update(ctx, false, func(t *tx) error {
		kept := map[int64]bool{}
		if err := runRoots(t, "[]", kept, map[string]bool{}); err != nil {
			return err
		}
		list, err := jsonList(slices.Sorted(maps.Keys(kept)))
		if err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM artifacts WHERE id NOT IN (SELECT artifact FROM events)
			AND id NOT IN (SELECT value FROM json_each(?))`, list)
		return err
	})
	if err != nil {
		return fmt.Errorf("tidy up the database: %w", err)
	}
	return nil
}

// compactFrom is from how many bytes of free pages on, and from what part of the
// file on, a database is written anew.
const (
	compactFrom = 1 << 20
	compactPart = 4 // a quarter
)

// Compact gives the room of what was deleted back to the disk where that is worth
// writing the whole file anew. Writers wait meanwhile.
func (d *DB) Compact(ctx context.Context) error {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { d.turn <- struct{}{} }()
	if d.closed {
		return errClosed
	}
	var size, pages, free int64
	err := d.conn.QueryRowContext(ctx, `SELECT s.page_size, c.page_count, f.freelist_count
		FROM pragma_page_size s, pragma_page_count c, pragma_freelist_count f`).Scan(&size, &pages, &free)
	if err == nil && free*size >= compactFrom && free >= pages/compactPart {
		_, err = d.conn.ExecContext(ctx, "VACUUM")
	}
	if err == nil {
		_, err = d.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	if err != nil {
		return fmt.Errorf("compact the database: %w", d.typed(err))
	}
	return nil
}
