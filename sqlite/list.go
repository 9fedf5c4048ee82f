package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// RunRow is a run in a list.
type RunRow struct {
	ID       string
	Name     string
	Pipeline string
	State    dag.State
	Error    string
	Cancel   bool // somebody asked for it
	Created  time.Time
	Started  time.Time
	Ended    time.Time
	Tasks    int // that run something
	Done     int // of those, the ended ones
	// Experiment is the id of the experiment that it is a trial's run of; empty: none.
	Experiment string
}

// RunFilter says which runs are listed; empty fields allow all.
type RunFilter struct {
	State    dag.State
	Pipeline string // name
	Name     string // of the run
	Trials   string // id of an experiment: only runs of its trials
	NoTrials bool   // none that is a trial's
	Limit    int    // 0: no limit
}

// filter collects the conditions of a WHERE.
type filter struct {
	where []string
	args  []any
}

func (f *filter) equal(column, value string) {
	if value != "" {
		f.add(column+" = ?", value)
	}
}

func (f *filter) add(condition string, args ...any) {
	f.where = append(f.where, condition)
	f.args = append(f.args, args...)
}

func (f *filter) String() string {
	if len(f.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.where, " AND ")
}

// limit is SQL's: negative is none.
func limit(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

const runColumns = `r.id, r.name, r.pipeline_name, r.state, r.error, r.cancel, r.created, r.started, r.ended,
	(SELECT count(*) FROM executions e WHERE e.run = r.id AND e.kind IN ('container', 'importer', 'tune')),
	(SELECT count(*) FROM executions e WHERE e.run = r.id AND e.kind IN ('container', 'importer', 'tune')
		AND e.state IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED')),
	coalesce(r.experiment, '')`

func runRows(q querier, rest string, args ...any) ([]RunRow, error) {
	var list []RunRow
	err := each(q, func(rows *sql.Rows) error {
		var r RunRow
		var created, started, ended int64
		err := rows.Scan(&r.ID, &r.Name, &r.Pipeline, &r.State, &r.Error, &r.Cancel, &created, &started, &ended, &r.Tasks, &r.Done, &r.Experiment)
		r.Created, r.Started, r.Ended = moment(created), moment(started), moment(ended)
		list = append(list, r)
		return err
	}, `SELECT `+runColumns+` FROM runs r`+rest, args...)
	return list, err
}

// ListRuns returns runs, newest first.
func (d *DB) ListRuns(ctx context.Context, f RunFilter) (list []RunRow, err error) {
	var w filter
	w.equal("r.state", string(f.State))
	w.equal("r.pipeline_name", f.Pipeline)
	w.equal("r.name", f.Name)
	w.equal("r.experiment", f.Trials)
	if f.NoTrials {
		w.add("r.experiment IS NULL")
	}
	err = d.view(ctx, func(s *snapshot) error {
		list, err = runRows(s, w.String()+` ORDER BY r.created DESC, r.id DESC LIMIT ?`, append(w.args, limit(f.Limit))...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return list, nil
}

// Conditions that leave out the runs of trials, each with an index of its own.
const (
	whereLast        = ` WHERE r.experiment IS NULL ORDER BY r.created DESC, r.id DESC LIMIT 1`
	whereInterrupted = ` WHERE r.experiment IS NULL AND r.state NOT IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED') ORDER BY r.created, r.id`
)

// Interrupted returns the runs that have not ended and are no trials, oldest first. Whether one has
// lost its driver, its owner lock says.
func (d *DB) Interrupted(ctx context.Context) (list []RunRow, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err = runRows(s, whereInterrupted)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for interrupted runs: %w", err)
	}
	return list, nil
}

// RequestCancel notes that a run is to be cancelled; its driver sees it. An ended
// run is left as it is. dag.ErrNotFound where there is none.
func (d *DB) RequestCancel(ctx context.Context, run string) error {
	err := d.update(ctx, false, func(t *tx) error {
		var id string
		err := t.row(`SELECT id FROM runs WHERE id = ?`, run).Scan(&id)
		if err == sql.ErrNoRows {
			return dag.ErrNotFound
		}
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE runs SET cancel = 1 WHERE id = ? AND cancel = 0
			AND state NOT IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED')`, run)
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel run %q: %w", run, err)
	}
	return nil
}

// TaskRow is an execution in a list.
type TaskRow struct {
	ID        int64
	Run       string
	RunName   string
	Path      string
	Component string
	Kind      dag.Kind
	State     dag.State
	Cached    bool
	Reason    string
	Error     string
	ExitCode  int
	Attempts  int
	Log       string // of the last attempt, relative to WHERRY_HOME; empty: none yet
	Created   time.Time
	Started   time.Time
	Ended     time.Time
}

// TaskFilter says which executions are listed; empty fields allow all.
type TaskFilter struct {
	Run   string // id
	Path  string
	State dag.State
	Limit int // 0: no limit
}

// ListTasks returns executions: of one run in the order of their ids, else newest
// first.
func (d *DB) ListTasks(ctx context.Context, f TaskFilter) (list []TaskRow, err error) {
	var w filter
	w.equal("e.run", f.Run)
	w.equal("e.path", f.Path)
	w.equal("e.state", string(f.State))
	order := ` ORDER BY e.id DESC LIMIT ?`
	if f.Run != "" {
		order = ` ORDER BY e.id LIMIT ?`
	}
	err = d.view(ctx, func(s *snapshot) error {
		list, err = taskRows(s, w.String()+order, append(w.args, limit(f.Limit))...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return list, nil
}

func taskRows(q querier, rest string, args ...any) ([]TaskRow, error) {
	var list []TaskRow
	err := each(q, func(rows *sql.Rows) error {
		var r TaskRow
		var created, started, ended int64
		err := rows.Scan(&r.ID, &r.Run, &r.RunName, &r.Path, &r.Component, &r.Kind, &r.State, &r.Cached, &r.Reason, &r.Error,
			&r.ExitCode, &created, &started, &ended, &r.Attempts, &r.Log)
		r.Created, r.Started, r.Ended = moment(created), moment(started), moment(ended)
		list = append(list, r)
		return err
	}, `SELECT e.id, e.run, r.name, e.path, e.component, e.kind, e.state, e.cached, e.reason, e.error,
			e.exit_code, e.created, e.started, e.ended,
			(SELECT count(*) FROM attempts a WHERE a.execution = e.id) + (e.kind = 'importer' AND e.started <> 0),
			coalesce((SELECT a.log FROM attempts a WHERE a.execution = e.id ORDER BY a.number DESC LIMIT 1), '')
		FROM executions e JOIN runs r ON r.id = e.run`+rest, args...)
	return list, err
}

// ArtifactRow is an artifact in a list, with the execution that made it.
type ArtifactRow struct {
	dag.Artifact
	Created   time.Time
	Execution int64 // 0: imported as an input
	Run       string
	RunName   string
	Path      string // of the task
	Output    string // name of its output
}

// ArtifactFilter says which artifacts are listed; empty fields allow all.
type ArtifactFilter struct {
	Run    string // id: outputs of its tasks, cached ones too
	Type   string // schema title
	Name   string // of the output that made it
	Digest string
	Limit  int // 0: no limit
}

// ListArtifacts returns artifacts, newest first.
func (d *DB) ListArtifacts(ctx context.Context, f ArtifactFilter) (list []ArtifactRow, err error) {
	var w filter
	if f.Run != "" {
		w.add(`a.id IN (SELECT v.artifact FROM executions x JOIN events v ON v.execution = x.id WHERE x.run = ? AND v.output = 1)`, f.Run)
	}
	w.equal("a.type", f.Type)
	w.equal("a.name", f.Name)
	w.equal("a.digest", f.Digest)
	err = d.view(ctx, func(s *snapshot) error {
		list, err = artifactRows(s, w.String()+` ORDER BY a.id DESC LIMIT ?`, append(w.args, limit(f.Limit))...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	return list, nil
}

func artifactRows(q querier, rest string, args ...any) ([]ArtifactRow, error) {
	var list []ArtifactRow
	err := each(q, func(rows *sql.Rows) (err error) {
		var a ArtifactRow
		var metadata string
		var created int64
		err = rows.Scan(append(artifactFields(&a.Artifact, &metadata), &created, &a.Execution, &a.Run, &a.RunName, &a.Path, &a.Output)...)
		if err != nil {
			return err
		}
		a.Created = moment(created)
		a.Metadata, err = decodeMap(metadata)
		list = append(list, a)
		return err
	}, `SELECT `+artifactColumns+`, a.created, coalesce(e.id, 0), coalesce(r.id, ''), coalesce(r.name, ''),
			coalesce(e.path, ''), coalesce(o.name, '')
		FROM artifacts a
		LEFT JOIN events o ON (o.execution, o.output, o.name, o.position) = (
			SELECT v.execution, v.output, v.name, v.position FROM events v
			WHERE v.artifact = a.id AND v.output = 1 ORDER BY v.follow DESC, v.execution LIMIT 1)
		LEFT JOIN executions e ON e.id = o.execution
		LEFT JOIN runs r ON r.id = e.run`+rest, args...)
	return list, err
}
