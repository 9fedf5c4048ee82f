package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// Direction says where lineage is followed.
type Direction string

// The directions.
const (
	Up   Direction = "up"   // what it was made from
	Down Direction = "down" // what was made from it
	Both Direction = "both"
)

// Graph is what Lineage found.
type Graph struct {
	Artifacts  []LineageArtifact
	Executions []LineageExecution
	Edges      []Edge
	Truncated  bool // there was more than LineageLimit
}

// LineageArtifact is an artifact at a distance from the one asked about.
type LineageArtifact struct {
	dag.Artifact
	Depth int // executions between; negative: up
}

// LineageExecution is an execution that made or used artifacts of the graph.
type LineageExecution struct {
	ID        int64
	Run       string
	RunName   string
	Pipeline  string
	Path      string
	Component string
	Kind      dag.Kind
	State     dag.State
	Cached    bool
	Started   time.Time
	Ended     time.Time
	Depth     int // of the artifact through which it was found, ±1
}

// Edge is an event: the execution read or wrote the artifact.
type Edge struct {
	Execution int64
	Artifact  int64
	Output    bool   // the execution wrote it
	Name      string // of the input or output
}

// LineageLimit is how many artifacts, and how many executions, Lineage visits in
// one direction.
const LineageLimit = 5000

// Lineage walks from an artifact over the executions that made it (up) or used it
// (down), at most maxDepth of them in a row. Groups are passed over, and so are
// cache hits where the original says the same.
func (d *DB) Lineage(ctx context.Context, artifact int64, direction Direction, maxDepth int) (*Graph, error) {
	w := &walk{g: &Graph{}, artifacts: map[int64]int{artifact: 0}, executions: map[int64]int{}}
	err := d.view(ctx, func(s *snapshot) error {
		if direction != Down {
			if err := w.follow(s, artifact, 1, maxDepth); err != nil {
				return err
			}
		}
		if direction != Up {
			if err := w.follow(s, artifact, 0, maxDepth); err != nil {
				return err
			}
		}
		if err := w.loadArtifacts(s); err != nil {
			return err
		}
		return w.loadExecutions(s)
	})
	if err == nil && len(w.g.Artifacts) == 0 {
		err = dag.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("lineage of artifact %d: %w", artifact, err)
	}
	return w.g, nil
}

type walk struct {
	g          *Graph
	artifacts  map[int64]int // id: depth
	executions map[int64]int
}

// follow goes from artifacts by events of this side (1: output, so up; 0: input,
// so down) to executions and by their other side to artifacts. The ORDER BY makes
// it breadth first, so that a limit cuts off what is far away.
func (w *walk) follow(s *snapshot, artifact int64, side, maxDepth int) error {
	sign := 1
	if side == 1 {
		sign = -1
	}
	return each(s, func(rows *sql.Rows) error {
		var e Edge
		var depth int
		var near, truncated bool
		if err := rows.Scan(&e.Execution, &e.Artifact, &e.Output, &e.Name, &depth, &near, &truncated); err != nil {
			return err
		}
		w.g.Edges = append(w.g.Edges, e)
		w.g.Truncated = w.g.Truncated || truncated
		lower(w.executions, e.Execution, sign*(depth+1))
		if !near {
			depth++
		}
		lower(w.artifacts, e.Artifact, sign*depth)
		return nil
	}, `
		WITH RECURSIVE walk (artifact, depth) AS (
			SELECT ?1, 0
			UNION
			SELECT b.artifact, w.depth + 1
			FROM walk w
			CROSS JOIN events a ON a.artifact = w.artifact AND a.output = ?2 AND a.follow = 1
			CROSS JOIN events b ON b.execution = a.execution AND b.output = 1 - ?2
			WHERE w.depth + 1 < ?3
			ORDER BY 2
			LIMIT ?4
		),
		near (artifact, depth, rows) AS MATERIALIZED (SELECT artifact, min(depth), count(*) FROM walk GROUP BY artifact),
		hop (execution, depth) AS MATERIALIZED (
			SELECT a.execution, min(n.depth)
			FROM near n CROSS JOIN events a ON a.artifact = n.artifact AND a.output = ?2 AND a.follow = 1
			WHERE ?3 > 0
			GROUP BY a.execution
			ORDER BY 2
			LIMIT ?4
		),
		size (truncated) AS MATERIALIZED (
			SELECT max((SELECT sum(rows) FROM near), (SELECT count(*) FROM hop)) = ?4
		)
		SELECT a.execution, a.artifact, a.output, a.name, n.depth, 1, truncated
		FROM size CROSS JOIN hop h
		CROSS JOIN events a ON a.execution = h.execution AND a.output = ?2 AND a.follow = 1
		CROSS JOIN near n ON n.artifact = a.artifact
		UNION ALL
		SELECT b.execution, b.artifact, b.output, b.name, h.depth, 0, truncated
		FROM size CROSS JOIN hop h CROSS JOIN events b ON b.execution = h.execution AND b.output = 1 - ?2`,
		artifact, side, maxDepth, LineageLimit+1)
}

// lower keeps the depth that is nearest to 0.
func lower(m map[int64]int, id int64, depth int) {
	old, ok := m[id]
	if !ok || max(old, -old) > max(depth, -depth) {
		m[id] = depth
	}
}

func (w *walk) loadArtifacts(s *snapshot) error {
	list, err := depthList(w.artifacts)
	if err != nil {
		return err
	}
	return each(s, func(rows *sql.Rows) (err error) {
		var a LineageArtifact
		var metadata string
		if err := rows.Scan(artifactFields(&a.Artifact, &metadata)...); err != nil {
			return err
		}
		a.Depth = w.artifacts[a.ID]
		a.Metadata, err = decodeMap(metadata)
		w.g.Artifacts = append(w.g.Artifacts, a)
		return err
	}, `SELECT `+artifactColumns+` FROM artifacts a WHERE a.id IN (SELECT value FROM json_each(?)) ORDER BY a.id`, list)
}

func (w *walk) loadExecutions(s *snapshot) error {
	list, err := depthList(w.executions)
	if err != nil {
		return err
	}
	return each(s, func(rows *sql.Rows) error {
		var e LineageExecution
		var started, ended int64
		err := rows.Scan(&e.ID, &e.Run, &e.RunName, &e.Pipeline, &e.Path, &e.Component, &e.Kind, &e.State, &e.Cached, &started, &ended)
		e.Started, e.Ended, e.Depth = moment(started), moment(ended), w.executions[e.ID]
		w.g.Executions = append(w.g.Executions, e)
		return err
	}, `SELECT e.id, e.run, r.name, e.pipeline, e.path, e.component, e.kind, e.state, e.cached, e.started, e.ended
		FROM executions e JOIN runs r ON r.id = e.run
		WHERE e.id IN (SELECT value FROM json_each(?)) ORDER BY e.id`, list)
}

func depthList(m map[int64]int) (string, error) {
	ids := make(map[int64]bool, len(m))
	for id := range m {
		ids[id] = true
	}
	return idList(ids)
}
