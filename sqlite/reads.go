package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wherry-ml/wherry/dag"
)

// maxPastReads is how many executions a look-up by reads looks at: each has read
// other content of the same sources.
const maxPastReads = 16

func putReads(t *tx, e *dag.Execution) error {
	sources, err := json.Marshal(e.Reads.Sources)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT OR REPLACE INTO reads (base, execution, sources) VALUES (?, ?, ?)`, e.Reads.Base, e.ID, string(sources))
	return err
}

// PastReads returns the newest executions whose cache key is base but for the
// content of mounted sources, and what they have read of these; the newest first.
func (d *DB) PastReads(ctx context.Context, base string) ([]dag.PastReads, error) {
	var out []dag.PastReads
	err := d.view(ctx, func(s *snapshot) error {
		out = nil
		return each(s, func(rows *sql.Rows) error {
			var p dag.PastReads
			var sources string
			if err := rows.Scan(&p.Execution, &p.Run, &p.Key, &sources); err != nil {
				return err
			}
			out = append(out, p)
			return decode(sources, &out[len(out)-1].Sources)
		}, `SELECT e.id, e.run, e.key, r.sources FROM reads r JOIN executions e ON e.id = r.execution
			WHERE r.base = ? ORDER BY r.execution DESC LIMIT ?`, base, maxPastReads)
	})
	if err != nil {
		return nil, fmt.Errorf("look up what was read under %s: %w", base, err)
	}
	return out, nil
}

// KeyBefore returns what the key of the newest execution of this pipeline and path
// before execution id was made of, what that has read of mounted sources (nil: not
// known), and its run; dag.ErrNotFound where there is none.
func (d *DB) KeyBefore(ctx context.Context, pipeline, path string, id int64) (*dag.PastKey, error) {
	var p dag.PastKey
	var parts string
	var sources sql.NullString
	err := d.reader.QueryRowContext(ctx, `SELECT e.run, e.component, e.key_parts, (SELECT r.sources FROM cache_entries c JOIN reads r ON r.execution = c.execution WHERE c.key = e.key)
		FROM executions e WHERE e.pipeline = ? AND e.path = ? AND e.key_parts IS NOT NULL AND e.id < ? ORDER BY e.id DESC LIMIT 1`,
		pipeline, path, id).Scan(&p.Run, &p.Component, &parts, &sources)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, dag.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look up the key of task %q before: %w", path, d.typed(err))
	}
	if sources.Valid {
		if err := decode(sources.String, &p.Sources); err != nil {
			return nil, err
		}
	}
	return &p, decode(parts, &p.Parts)
}
