package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// EndedError says that an execution which has ended was to get another state.
type EndedError struct {
	Execution int64
	Path      string
	Was, Is   dag.State
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("task %q (execution %d) has ended as %s and can't become %s", e.Path, e.Execution, e.Was, e.Is)
}

// Commit writes b in one transaction; see dag.Store. IDs that it gave are taken
// back when the transaction fails, so that the same batch can be committed again.
// An execution that has ended keeps its state: anything else is an *EndedError. All
// of a batch with an Epoch belongs to one run.
func (d *DB) Commit(ctx context.Context, b *dag.Batch) error {
	if b.Empty() {
		return nil
	}
	used := d.takeUsed()
	err := d.update(ctx, b.Durable, func(t *tx) error {
		now := d.now().UnixNano()
		if b.Epoch != 0 {
			if err := owns(t, runOf(b), b.Epoch); err != nil {
				return err
			}
		}
		if err := writeUsed(t, used); err != nil {
			return err
		}
		// What was made comes first: groups, and the inputs of others in the batch,
		// may hold copies that have no ID yet.
		for _, e := range b.Executions {
			if e.Kind.Runs() && !e.Cached {
				if err := storeArtifacts(t, e.Outputs, true, now); err != nil {
					return fmt.Errorf("task %q: %w", e.Path, err)
				}
			}
		}
		for _, e := range b.Executions {
			if err := putExecution(t, e, now); err != nil {
				return fmt.Errorf("task %q: %w", e.Path, err)
			}
		}
		if b.Run != nil {
			return updateRun(t, b.Run, now)
		}
		return nil
	})
	if err != nil {
		d.giveBackUsed(used)
		return fmt.Errorf("record %s: %w", describeBatch(b), err)
	}
	return nil
}

func describeBatch(b *dag.Batch) string {
	if b.Run != nil {
		return fmt.Sprintf("run %q", b.Run.ID)
	}
	return fmt.Sprintf("tasks of run %q", b.Executions[0].Run)
}

func runOf(b *dag.Batch) string {
	if b.Run != nil {
		return b.Run.ID
	}
	return b.Executions[0].Run
}

func updateRun(t *tx, r *dag.Run, now int64) error {
	if err := storeArtifacts(t, r.Outputs, false, now); err != nil {
		return err
	}
	outputs, err := encodeValues(r.Outputs)
	if err != nil {
		return fmt.Errorf("outputs: %w", err)
	}
	// A request to cancel may have come from another process since r was loaded.
	res, err := t.exec(`UPDATE runs SET name = ?, outputs = ?, state = ?, error = ?, cancel = max(cancel, ?), started = ?, ended = ?
		WHERE id = ?`, r.Name, outputs, r.State, r.Error, r.Cancel, stamp(r.Started), stamp(r.Ended), r.ID)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, dag.ErrNotFound)
	}
	return nil
}

// before is what is already stored of an execution.
type before struct {
	state           dag.State
	inputs, outputs string
}

func putExecution(t *tx, e *dag.Execution, now int64) error {
	if err := storeArtifacts(t, e.Inputs, false, now); err != nil {
		return err
	}
	if err := storeArtifacts(t, e.Outputs, false, now); err != nil {
		return err
	}
	inputs, err := encodeValues(e.Inputs)
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	outputs, err := encodeValues(e.Outputs)
	if err != nil {
		return fmt.Errorf("outputs: %w", err)
	}
	old := before{inputs: "{}", outputs: "{}"}
	if e.ID == 0 {
		err = insertExecution(t, e, inputs, outputs)
	} else {
		old, err = updateExecution(t, e, inputs, outputs)
	}
	if err != nil {
		return err
	}
	if err := putAttempts(t, e); err != nil {
		return err
	}
	if inputs != old.inputs || outputs != old.outputs {
		if err := putEvents(t, e, old.inputs == "{}" && old.outputs == "{}"); err != nil {
			return err
		}
	}
	if e.State != dag.Succeeded || e.Key == "" || e.Cached || old.state == dag.Succeeded {
		return nil
	}
	if e.Reads != nil {
		if err := putReads(t, e); err != nil {
			return err
		}
	}
	return putCacheEntry(t, e, now)
}

func insertExecution(t *tx, e *dag.Execution, inputs, outputs string) error {
	parts, err := encodeParts(e.KeyParts)
	if err != nil {
		return err
	}
	res, err := t.exec(`INSERT INTO executions (run, parent, pipeline, path, task, component, kind, iteration, state, cached,
			reason, key, key_parts, inputs, outputs, error, exit_code, retries, retry_at, created, started, ended, source)
		SELECT id, ?, pipeline_name, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM runs WHERE id = ?`,
		sql.NullInt64{Int64: e.Parent, Valid: e.Parent != 0}, e.Path, e.Task, e.Component, e.Kind, e.Iteration, e.State,
		e.Cached, e.Reason, e.Key, parts, inputs, outputs, e.Error, e.ExitCode, e.Retries, stamp(e.RetryAt),
		stamp(e.Created), stamp(e.Started), stamp(e.Ended), e.Source, e.Run)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("run %q: %w", e.Run, dag.ErrNotFound))
	}
	id, err := res.LastInsertId()
	t.assign(&e.ID, id)
	return err
}

func updateExecution(t *tx, e *dag.Execution, inputs, outputs string) (before, error) {
	var old before
	err := t.row(`SELECT state, inputs, outputs FROM executions WHERE id = ?`, e.ID).Scan(&old.state, &old.inputs, &old.outputs)
	if errors.Is(err, sql.ErrNoRows) {
		return old, fmt.Errorf("execution %d: %w", e.ID, dag.ErrNotFound)
	}
	if err != nil {
		return old, err
	}
	if old.state.Ended() && e.State != old.state {
		return old, &EndedError{Execution: e.ID, Path: e.Path, Was: old.state, Is: e.State}
	}
	parts, err := encodeParts(e.KeyParts)
	if err != nil {
		return old, err
	}
	_, err = t.exec(`UPDATE executions SET state = ?, cached = ?, reason = ?, key = ?, key_parts = ?, inputs = ?, outputs = ?,
			error = ?, exit_code = ?, retries = ?, retry_at = ?, started = ?, ended = ?, source = ? WHERE id = ?`,
		e.State, e.Cached, e.Reason, e.Key, parts, inputs, outputs, e.Error, e.ExitCode, e.Retries,
		stamp(e.RetryAt), stamp(e.Started), stamp(e.Ended), e.Source, e.ID)
	return old, err
}

func encodeParts(parts map[string]string) (sql.NullString, error) {
	if parts == nil {
		return sql.NullString{}, nil
	}
	s, err := encode(parts)
	return sql.NullString{String: s, Valid: true}, err
}

// putAttempts writes those that are new or have changed.
func putAttempts(t *tx, e *dag.Execution) error {
	for _, a := range e.Attempts {
		_, err := t.exec(`INSERT INTO attempts (execution, number, pod, state, cause, code, error, log, started, ended)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET pod = excluded.pod, state = excluded.state, cause = excluded.cause, code = excluded.code,
				error = excluded.error, log = excluded.log, started = excluded.started, ended = excluded.ended
			WHERE (pod, state, cause, code, error, log, started, ended) IS NOT (excluded.pod, excluded.state, excluded.cause,
				excluded.code, excluded.error, excluded.log, excluded.started, excluded.ended)`,
			e.ID, a.Number, a.Pod, a.State, a.Cause, a.Code, a.Error, a.Log, stamp(a.Started), stamp(a.Ended))
		if err != nil {
			return err
		}
	}
	return nil
}

// edge is an event to be written.
type edge struct {
	output   int // 0: input, 1: output
	name     string
	position int
	artifact int64
	follow   bool
}

// edges returns the events of e.
func edges(e *dag.Execution) []edge {
	var list []edge
	for output, values := range []dag.Values{e.Inputs, e.Outputs} {
		for _, name := range slices.Sorted(maps.Keys(values.Artifacts)) {
			for i, a := range values.Artifacts[name] {
				// What is handed on as it came was not made here.
				follow := e.Kind.Runs() && !e.Cached && (output == 0 || !e.Inputs.Has(a.ID))
				list = append(list, edge{output, name, i, a.ID, follow})
			}
		}
	}
	return list
}

// putEvents replaces the events of e by its inputs and outputs. fresh: it had none of
// either.
func putEvents(t *tx, e *dag.Execution, fresh bool) error {
	if !fresh {
		if _, err := t.exec(`DELETE FROM events WHERE execution = ?`, e.ID); err != nil {
			return err
		}
	}
	all := edges(e)
	for some := range slices.Chunk(all, 8) { // few statements, and few kinds of them
		values := make([]any, 0, 6*len(some))
		for _, x := range some {
			values = append(values, e.ID, x.output, x.name, x.position, x.artifact, x.follow)
		}
		if _, err := t.exec(insertEvents[len(some)], values...); err != nil {
			return err
		}
	}
	if !e.Cached || !e.Kind.Runs() || !slices.ContainsFunc(all, func(x edge) bool { return x.output == 0 }) {
		return nil
	}
	// A hit by the same content in another place: only this execution says that
	// its inputs led to the outputs.
	_, err := t.exec(`UPDATE events SET follow = 1 WHERE execution = ?1 AND output = 0 AND NOT EXISTS (
		SELECT 1 FROM cache_entries c JOIN events o ON o.execution = c.execution
		WHERE c.key = ?2 AND o.output = 0 AND o.artifact = events.artifact)`, e.ID, e.Key)
	return err
}

// insertEvents inserts so many events.
var insertEvents = func() (statements [9]string) {
	for n := range statements {
		statements[n] = `INSERT INTO events (execution, output, name, position, artifact, follow) VALUES ` +
			strings.TrimSuffix(strings.Repeat(`(?, ?, ?, ?, ?, ?), `, n), `, `)
	}
	return statements
}()
