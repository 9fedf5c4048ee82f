package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

var _ dag.Store = (*DB)(nil)

// CreateRun stores a new run with its pipeline and options. Values of secret
// environment variables are left out: who resumes the run must bring them.
func (d *DB) CreateRun(ctx context.Context, r *dag.Run) error {
	if r.Pipeline == nil {
		return fmt.Errorf("create run %q: it has no pipeline", r.ID)
	}
	pipeline, err := encodePipeline(r.Pipeline)
	if err != nil {
		return fmt.Errorf("create run %q: pipeline: %w", r.ID, err)
	}
	options := r.Options
	options.Env = withoutSecrets(options.Env)
	text, err := encode(options)
	if err != nil {
		return fmt.Errorf("create run %q: options: %w", r.ID, err)
	}
	err = d.update(ctx, false, func(t *tx) error {
		id, err := pipelineID(t, r.Pipeline.Name, pipeline, d.now().UnixNano())
		if err != nil {
			return err
		}
		return insertRun(t, r, id, text, d.now().UnixNano())
	})
	if classify(err) == codeExists {
		err = fmt.Errorf("there is one with this id: %w", err)
	}
	if err != nil {
		return fmt.Errorf("create run %q: %w", r.ID, err)
	}
	return nil
}

func withoutSecrets(env []runner.EnvVar) []runner.EnvVar {
	env = slices.Clone(env)
	for i := range env {
		if env[i].Secret {
			env[i].Value = ""
		}
	}
	return env
}

func pipelineID(t *tx, name, text string, now int64) (id int64, err error) {
	sum := sha256.Sum256([]byte(text))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	err = t.row(`SELECT id FROM pipelines WHERE digest = ?`, digest).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	return t.insert(`INSERT INTO pipelines (digest, name, json, created) VALUES (?, ?, ?, ?)`, digest, name, text, now)
}

func insertRun(t *tx, r *dag.Run, pipeline int64, options string, now int64) error {
	parameters, err := encodeMap(r.Parameters)
	if err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	if err := storeArtifacts(t, r.Outputs, false, now); err != nil {
		return err
	}
	outputs, err := encodeValues(r.Outputs)
	if err != nil {
		return fmt.Errorf("outputs: %w", err)
	}
	_, err = t.exec(`INSERT INTO runs (id, name, pipeline, pipeline_name, options, parameters, outputs, state, error,
			cancel, created, started, ended)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Name, pipeline, r.Pipeline.Name, options, parameters, outputs, r.State, r.Error,
		r.Cancel, stamp(r.Created), stamp(r.Started), stamp(r.Ended))
	return err
}

// LoadRun returns a run and its executions in the order of their ids.
func (d *DB) LoadRun(ctx context.Context, id string) (*dag.Run, []*dag.Execution, error) {
	var run *dag.Run
	var executions []*dag.Execution
	err := d.view(ctx, func(s *snapshot) error {
		ids := map[int64]bool{}
		r, outputs, err := loadRun(s, id, ids)
		if err != nil {
			return err
		}
		list, err := loadExecutions(s, `e.run = ?`, ids, id)
		if err != nil {
			return err
		}
		artifacts, err := artifactsByID(s, ids)
		if err != nil {
			return err
		}
		if r.Outputs, err = outputs.values(artifacts); err != nil {
			return err
		}
		for _, e := range list {
			if err := e.fill(artifacts); err != nil {
				return err
			}
			executions = append(executions, e.Execution)
		}
		run = r
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("load run %q: %w", id, err)
	}
	return run, executions, nil
}

func loadRun(q querier, id string, ids map[int64]bool) (*dag.Run, storedValues, error) {
	var r dag.Run
	var outputs storedValues
	var pipeline, options, parameters, out string
	var created, started, ended int64
	err := q.row(`SELECT r.id, r.name, p.json, r.options, r.parameters, r.outputs, r.state, r.error, r.cancel,
			r.created, r.started, r.ended
		FROM runs r JOIN pipelines p ON p.id = r.pipeline WHERE r.id = ?`, id).
		Scan(&r.ID, &r.Name, &pipeline, &options, &parameters, &out, &r.State, &r.Error, &r.Cancel,
			&created, &started, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, outputs, dag.ErrNotFound
	}
	if err != nil {
		return nil, outputs, err
	}
	r.Created, r.Started, r.Ended = moment(created), moment(started), moment(ended)
	if r.Pipeline, err = decodePipeline(pipeline); err != nil {
		return nil, outputs, err
	}
	if err := decode(options, &r.Options); err != nil {
		return nil, outputs, err
	}
	if r.Parameters, err = decodeMap(parameters); err != nil {
		return nil, outputs, err
	}
	outputs, err = decodeStored(out)
	outputs.ids(ids)
	return &r, outputs, err
}

// storedExecution is an execution whose artifacts are still to be looked up.
type storedExecution struct {
	*dag.Execution
	inputs, outputs storedValues
}

func (e *storedExecution) fill(artifacts map[int64]dag.Artifact) (err error) {
	if e.Inputs, err = e.inputs.values(artifacts); err != nil {
		return err
	}
	e.Outputs, err = e.outputs.values(artifacts)
	return err
}

// loadExecutions returns the executions e for which a condition holds with their attempts,
// and notes the ids of their artifacts.
func loadExecutions(q querier, where string, ids map[int64]bool, args ...any) ([]*storedExecution, error) {
	var list []*storedExecution
	byID := map[int64]*storedExecution{}
	err := each(q, func(rows *sql.Rows) error {
		e, err := scanExecution(rows)
		if err != nil {
			return err
		}
		e.inputs.ids(ids)
		e.outputs.ids(ids)
		byID[e.ID] = e
		list = append(list, e)
		return nil
	}, `SELECT id, run, parent, path, task, component, kind, iteration, state, cached, reason, key, key_parts,
			inputs, outputs, error, exit_code, retries, retry_at, created, started, ended, source
		FROM executions e WHERE `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	err = each(q, func(rows *sql.Rows) error {
		var a dag.Attempt
		var execution, started, ended int64
		if err := rows.Scan(&execution, &a.Number, &a.Pod, &a.State, &a.Cause, &a.Code, &a.Error, &a.Log, &started, &ended); err != nil {
			return err
		}
		a.Started, a.Ended = moment(started), moment(ended)
		byID[execution].Attempts = append(byID[execution].Attempts, &a)
		return nil
	}, `SELECT a.execution, a.number, a.pod, a.state, a.cause, a.code, a.error, a.log, a.started, a.ended
		FROM executions e JOIN attempts a ON a.execution = e.id
		WHERE `+where+` ORDER BY a.execution, a.number`, args...)
	return list, err
}

func scanExecution(rows *sql.Rows) (*storedExecution, error) {
	e := &storedExecution{Execution: &dag.Execution{}}
	var parent sql.NullInt64
	var parts sql.NullString
	var inputs, outputs string
	var retryAt, created, started, ended int64
	err := rows.Scan(&e.ID, &e.Run, &parent, &e.Path, &e.Task, &e.Component, &e.Kind, &e.Iteration, &e.State,
		&e.Cached, &e.Reason, &e.Key, &parts, &inputs, &outputs, &e.Error, &e.ExitCode, &e.Retries,
		&retryAt, &created, &started, &ended, &e.Source)
	if err != nil {
		return nil, err
	}
	e.Parent = parent.Int64
	e.RetryAt, e.Created, e.Started, e.Ended = moment(retryAt), moment(created), moment(started), moment(ended)
	if parts.Valid {
		if err := decode(parts.String, &e.KeyParts); err != nil {
			return nil, err
		}
	}
	if e.inputs, err = decodeStored(inputs); err != nil {
		return nil, err
	}
	e.outputs, err = decodeStored(outputs)
	return e, err
}

// CancelRequested reports whether somebody asked to cancel the run.
func (d *DB) CancelRequested(ctx context.Context, run string) (bool, error) {
	var cancel bool
	err := d.reader.QueryRowContext(ctx, `SELECT cancel FROM runs WHERE id = ?`, run).Scan(&cancel)
	if errors.Is(err, sql.ErrNoRows) {
		err = dag.ErrNotFound
	}
	if err != nil {
		return false, fmt.Errorf("look at run %q: %w", run, d.typed(err))
	}
	return cancel, nil
}
