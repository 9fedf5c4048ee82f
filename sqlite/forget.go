package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
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

// References returns the digests that runs and experiments other than those of without
// refer to: what their tasks read and wrote, and their mounted sources. paths are the
// URIs of these artifacts.
func (d *DB) References(ctx context.Context, without []string) (digests, paths map[string]bool, err error) {
	digests, paths = map[string]bool{}, map[string]bool{}
	err = d.view(ctx, func(s *snapshot) error {
		list, err := jsonList(without)
		if err != nil {
			return err
		}
		note := func(rows *sql.Rows) error {
			var digest, uri string
			err := rows.Scan(&digest, &uri)
			digests[digest], paths[uri] = true, true
			return err
		}
		err = each(s, note, `SELECT digest, uri FROM artifacts WHERE id IN (
			SELECT v.artifact FROM executions e JOIN events v ON v.execution = e.id
			WHERE e.run NOT IN (SELECT value FROM json_each(?)))`, list)
		if err != nil {
			return err
		}
		ids := map[int64]bool{}
		if err := runRoots(s, list, ids, digests); err != nil {
			return err
		}
		if err := experimentRoots(s, list, digests); err != nil {
			return err
		}
		artifacts, err := artifactsByID(s, ids)
		for _, a := range artifacts {
			digests[a.Digest], paths[a.URI] = true, true
		}
		return err
	})
	delete(digests, "")
	delete(paths, "")
	if err != nil {
		return nil, nil, fmt.Errorf("look up what runs refer to: %w", err)
	}
	return digests, paths, nil
}

var digestText = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// runRoots notes what the rows of runs themselves refer to: their outputs, and
// any digest in their options.
func runRoots(q querier, without string, ids map[int64]bool, digests map[string]bool) error {
	return each(q, func(rows *sql.Rows) error {
		var options, outputs string
		if err := rows.Scan(&options, &outputs); err != nil {
			return err
		}
		for _, digest := range digestText.FindAllString(options, -1) {
			digests[digest] = true
		}
		stored, err := decodeStored(outputs)
		stored.ids(ids)
		return err
	}, `SELECT options, outputs FROM runs WHERE id NOT IN (SELECT value FROM json_each(?))`, without)
}

// experimentRoots notes any digest in what experiments are made of: one that has ended may go
// on, and its next trial sees these sources.
func experimentRoots(q querier, without string, digests map[string]bool) error {
	return each(q, func(rows *sql.Rows) error {
		var spec string
		err := rows.Scan(&spec)
		for _, digest := range digestText.FindAllString(spec, -1) {
			digests[digest] = true
		}
		return err
	}, `SELECT spec FROM experiments WHERE id NOT IN (SELECT value FROM json_each(?))`, without)
}

// Refers reports whether anything on record refers to a digest: an artifact, the options of a
// run, or an experiment. When a run was made says nothing: a loaded one may be old.
func (d *DB) Refers(ctx context.Context, digest string) (bool, error) {
	var found bool
	err := d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM artifacts WHERE digest = ?1)
		OR EXISTS (SELECT 1 FROM runs WHERE instr(options, ?1) > 0)
		OR EXISTS (SELECT 1 FROM experiments WHERE instr(spec, ?1) > 0)`, digest).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", digest, d.typed(err))
	}
	return found, nil
}

// RunDigests returns the digests that each run, and each experiment, refers to.
func (d *DB) RunDigests(ctx context.Context) (map[string][]string, error) {
	of := map[string][]string{}
	err := d.view(ctx, func(s *snapshot) error {
		err := each(s, func(rows *sql.Rows) error {
			var run, digest string
			err := rows.Scan(&run, &digest)
			of[run] = append(of[run], digest)
			return err
		}, `SELECT DISTINCT e.run, a.digest FROM executions e JOIN events v ON v.execution = e.id
			JOIN artifacts a ON a.id = v.artifact WHERE a.digest <> ''`)
		if err != nil {
			return err
		}
		return each(s, func(rows *sql.Rows) error {
			var run, options string
			err := rows.Scan(&run, &options)
			of[run] = append(of[run], digestText.FindAllString(options, -1)...)
			return err
		}, `SELECT id, options FROM runs UNION ALL SELECT id, spec FROM experiments`)
	})
	if err != nil {
		return nil, fmt.Errorf("look up what each run refers to: %w", err)
	}
	for run, digests := range of {
		slices.Sort(digests)
		of[run] = slices.Compact(digests)
	}
	return of, nil
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

// Names reports whether a run or an experiment other than those of without was made of a
// file at or below path: its pipeline file, a mount, what an image is built from, a parameter.
func (d *DB) Names(ctx context.Context, path string, without []string) (named bool, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err := jsonList(without)
		if err != nil {
			return err
		}
		text, err := encode(path)
		if err != nil {
			return err
		}
		text = strings.Trim(text, `"`) // as it is written in JSON
		return s.row(`SELECT EXISTS (SELECT 1 FROM runs r JOIN pipelines p ON p.id = r.pipeline
			WHERE r.id NOT IN (SELECT value FROM json_each(?1)) AND (
				instr(r.options || p.json || r.parameters, ?2 || '"') OR instr(r.options || p.json || r.parameters, ?2 || '/')))
			OR EXISTS (SELECT 1 FROM experiments WHERE id NOT IN (SELECT value FROM json_each(?1)) AND (
				instr(spec, ?2 || '"') OR instr(spec, ?2 || '/')))`,
			list, text).Scan(&named)
	})
	if err != nil {
		return false, fmt.Errorf("look up what runs are made of: %w", err)
	}
	return named, nil
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
