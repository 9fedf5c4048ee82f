package sqlite_test

import (
	"fmt"
	"testing"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// millionEvents fills a database with n events: layers of executions that each
// read two artifacts of the layer before and write one, as pipelines over
// versions of data do, width tasks wide and as deep as it takes.
func millionEvents(b testing.TB, n, width int) (d *sqlite.DB, artifacts int64) {
	d = open(b, "")
	newRun(b, d, "big")
	executions := n / 3
	db := raw(b, d.Path())
	for _, q := range []string{
		`PRAGMA synchronous = OFF`,
		fmt.Sprintf(`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d)
			INSERT INTO artifacts SELECT n, 'a' || n, '/runs/' || n, 'sha256:' || n, 'system.Dataset', '', '{"rows":1}', 1, 0 FROM c`, executions+width),
		fmt.Sprintf(`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d)
			INSERT INTO executions SELECT n, 'big', NULL, 'flow', 'task-' || n, 't', 'c', 'container', -1, 'SUCCEEDED', 0, '', '', NULL,
				'{}', '{}', '', 0, 0, 0, 0, 0, 0, 0 FROM c`, executions),
		// Execution n writes artifact n+width and reads two out of the width before.
		fmt.Sprintf(`INSERT INTO events SELECT id, 0, 'x', 0, (id - 1) / %[1]d * %[1]d + 1 + id * 7 %% %[1]d, 1 FROM executions`, width),
		fmt.Sprintf(`INSERT INTO events SELECT id, 0, 'y', 0, (id - 1) / %[1]d * %[1]d + 1 + id * 11 %% %[1]d, 1 FROM executions`, width),
		fmt.Sprintf(`INSERT INTO events SELECT id, 1, 'z', 0, id + %d, 1 FROM executions`, width),
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := db.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	return d, int64(executions + width)
}

// BenchmarkLineage: depth 20 over a million events, under 10 ms.
func BenchmarkLineage(b *testing.B) {
	for _, width := range []int{5, 20} {
		d, artifacts := millionEvents(b, 1_000_000, width)
		for _, direction := range []sqlite.Direction{sqlite.Up, sqlite.Down, sqlite.Both} {
			b.Run(fmt.Sprintf("width=%d/%s", width, direction), func(b *testing.B) {
				var g *sqlite.Graph
				for b.Loop() {
					var err error
					if g, err = d.Lineage(b.Context(), artifacts/2, direction, 20); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(g.Artifacts)+len(g.Executions)), "nodes")
				b.ReportMetric(float64(len(g.Edges)), "edges")
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/op")
			})
		}
	}
}

// BenchmarkTransitions: state transitions a second; at least 5,000.
func BenchmarkTransitions(b *testing.B) {
	for _, c := range []struct {
		name    string
		batch   int
		durable bool
	}{{"alone", 1, false}, {"batch=100", 100, false}, {"durable", 1, true}, {"durable/batch=100", 100, true}} {
		b.Run(c.name, func(b *testing.B) {
			d := open(b, "")
			newRun(b, d, "a")
			states := []dag.State{dag.Pending, dag.Running, dag.Succeeded}
			var batch dag.Batch
			done := 0
			for i := 0; b.Loop(); i++ {
				state := states[i%len(states)]
				if state == dag.Pending {
					batch = dag.Batch{Durable: c.durable}
					for j := range c.batch {
						batch.Executions = append(batch.Executions, task("a", fmt.Sprintf("task-%d-%d", i, j), state))
					}
				}
				for _, e := range batch.Executions {
					transition(e, state)
				}
				commit(b, d, batch)
				done += c.batch
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "transitions/s")
		})
	}
}

// transition makes of e what the scheduler does.
func transition(e *dag.Execution, state dag.State) {
	e.State = state
	switch state {
	case dag.Running:
		e.Inputs.Parameters = map[string]any{"lr": 0.1, "epochs": int64(3)}
		e.Key, e.KeyParts = "sha256:"+e.Path, map[string]string{"image": "sha256:1", "command": "python train.py"}
		e.Attempts = []*dag.Attempt{{Number: 1, Pod: "wherry-h-a-" + e.Path, State: state, Started: noon}}
	case dag.Succeeded:
		e.Outputs = outputs(map[string][]dag.Artifact{"model": {artifact("model", e.Path)}})
		e.Attempts[0].State, e.Attempts[0].Ended = state, noon
	}
}
