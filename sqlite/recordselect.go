package sqlite

import (
	"database/sql"
	"errors"

	"github.com/wherry-ml/wherry/dag"
)

// selectRun finds the executions that belong to a run's records, and all that they
// refer to.
func selectRun(s *snapshot, run string) (selection, error) {
	sel := selection{}
	var state dag.State
	err := s.row(`SELECT state FROM runs WHERE id = ?`, run).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, dag.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	queries := []struct{ kind, query string }{
		{"execution", `WITH RECURSIVE used (id) AS (
			SELECT id FROM executions WHERE run = ?1
			UNION SELECT c.execution FROM used u JOIN executions e ON e.id = u.id JOIN cache_entries c ON c.key = e.key WHERE e.cached
			UNION SELECT o.id FROM used u JOIN executions e ON e.id = u.id JOIN executions o ON o.id = e.source
			UNION SELECT (SELECT max(o.execution) FROM events o WHERE o.artifact = i.artifact AND o.output = 1 AND o.follow AND o.execution < u.id)
				FROM used u JOIN events i ON i.execution = u.id AND i.output = 0
			UNION SELECT e.parent FROM used u JOIN executions e ON e.id = u.id WHERE e.parent IS NOT NULL
		) SELECT id FROM used WHERE id IS NOT NULL`},
		{"hit", `SELECT c.execution FROM executions e JOIN cache_entries c ON c.key = e.key OR c.execution = e.source WHERE e.run = ?1`},
	}
	for _, q := range queries {
		if err := sel.query(s, q.kind, q.query, run); err != nil {
			return nil, err
		}
	}
	list, err := encodeIDs(sel["execution"])
	if err != nil {
		return nil, err
	}
	sel.add("run", run)
	if err := sel.query(s, "run", `SELECT DISTINCT run FROM executions WHERE id IN (SELECT value FROM json_each(?1))`, list); err != nil {
		return nil, err
	}
	if err := sel.query(s, "artifact", `SELECT artifact FROM events WHERE execution IN (SELECT value FROM json_each(?1))`, list); err != nil {
		return nil, err
	}
	runs, err := encodeIDs(sel["run"])
	if err != nil {
		return nil, err
	}
	if err := sel.query(s, "pipeline", `SELECT pipeline FROM runs WHERE id IN (SELECT value FROM json_each(?1))`, runs); err != nil {
		return nil, err
	}
	return sel, selectOutputs(s, sel, runs)
}

// selectOutputs adds the artifacts that runs have put out.
func selectOutputs(s *snapshot, sel selection, runs string) error {
	return each(s, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		stored, err := decodeStored(text)
		ids := map[int64]bool{}
		stored.ids(ids)
		for id := range ids {
			sel.add("artifact", id)
		}
		return err
	}, `SELECT outputs FROM runs WHERE id IN (SELECT value FROM json_each(?1))`, runs)
}

func (s selection) query(q querier, kind, query string, args ...any) error {
	return each(q, func(rows *sql.Rows) error {
		var id any
		if err := rows.Scan(&id); err != nil {
			return err
		}
		s.add(kind, id)
		return nil
	}, query, args...)
}

func encodeIDs(ids map[any]bool) (string, error) {
	list := make([]any, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	return encode(list)
}

// usedObjects are the artifacts of the run itself, and what its cache entries stand
// for.
func usedObjects(s *snapshot, sel selection, run string) (used []UsedObject, err error) {
	hits, err := encodeIDs(sel["hit"])
	if err != nil {
		return nil, err
	}
	err = each(s, func(rows *sql.Rows) error {
		var u UsedObject
		err := rows.Scan(&u.Digest, &u.URI, &u.Name)
		used = append(used, u)
		return err
	}, `SELECT digest, min(uri), min(name) FROM artifacts WHERE digest != '' AND id IN (
			SELECT v.artifact FROM events v JOIN executions e ON e.id = v.execution WHERE e.run = ?1
			UNION SELECT artifact FROM events WHERE output = 1 AND execution IN (SELECT value FROM json_each(?2))
		) GROUP BY digest ORDER BY digest`, run, hits)
	return used, err
}
