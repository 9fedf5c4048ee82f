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

func putCacheEntry(t *tx, e *dag.Execution, now int64) error {
	_, err := t.exec(`INSERT INTO cache_entries (key, execution, created, used) VALUES (?1, ?2, ?3, ?3)
		ON CONFLICT DO UPDATE SET execution = ?2, created = ?3, used = ?3`, e.Key, e.ID, now)
	return err
}

// LookupCache returns the entry of key, or dag.ErrNotFound. That it was used is
// written with the next commit: a look-up takes no write lock.
func (d *DB) LookupCache(ctx context.Context, key string) (*dag.CacheEntry, error) {
	var c dag.CacheEntry
	err := d.glance(ctx, func(s *snapshot) error {
		var outputs string
		err := s.row(`SELECT e.id, e.run, e.outputs FROM cache_entries c JOIN executions e ON e.id = c.execution WHERE c.key = ?`, key).
			Scan(&c.Execution, &c.Run, &outputs)
		if errors.Is(err, sql.ErrNoRows) {
			return dag.ErrNotFound
		}
		if err != nil {
			return err
		}
		stored, err := decodeStored(outputs)
		if err != nil {
			return err
		}
		ids := map[int64]bool{}
		stored.ids(ids)
		artifacts, err := artifactsByID(s, ids)
		if err != nil {
			return err
		}
		c.Outputs, err = stored.values(artifacts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up cache key %s: %w", key, err)
	}
	d.mu.Lock()
	d.used[key] = d.now()
	d.mu.Unlock()
	return &c, nil
}

// LastKeyParts returns what the key of the newest execution of this pipeline and
// path was made of; dag.ErrNotFound where there is none.
func (d *DB) LastKeyParts(ctx context.Context, pipeline, path string) (map[string]string, error) {
	var text string
	err := d.reader.QueryRowContext(context.WithoutCancel(ctx), `SELECT key_parts FROM executions
		WHERE pipeline = ? AND path = ? AND key_parts IS NOT NULL ORDER BY id DESC LIMIT 1`, pipeline, path).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		err = dag.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look up the last key of task %q: %w", path, d.typed(err))
	}
	var parts map[string]string
	return parts, decode(text, &parts)
}

func (d *DB) takeUsed() map[string]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.used) == 0 {
		return nil
	}
	used := d.used
	d.used = map[string]time.Time{}
	return used
}

func (d *DB) giveBackUsed(used map[string]time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, at := range used {
		if at.After(d.used[key]) {
			d.used[key] = at
		}
	}
}

func writeUsed(t *tx, used map[string]time.Time) error {
	for _, key := range slices.Sorted(maps.Keys(used)) { // side by side in the table
		at := used[key]
		if _, err := t.exec(`UPDATE cache_entries SET used = max(used, ?) WHERE key = ?`, at.UnixNano(), key); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) flushUsed(ctx context.Context) error {
	used := d.takeUsed()
	if used == nil {
		return nil
	}
	return d.update(ctx, false, func(t *tx) error { return writeUsed(t, used) })
}

// SourceOf returns the execution that made the outputs of a cached one, with its
// attempts; dag.ErrNotFound where it is not known any more.
func (d *DB) SourceOf(ctx context.Context, x *dag.Execution) (*dag.Execution, error) {
	var source *dag.Execution
	err := d.view(ctx, func(s *snapshot) error {
		ids := map[int64]bool{}
		list, err := loadExecutions(s, `e.id = CASE ?1 WHEN 0 THEN (SELECT execution FROM cache_entries WHERE key = ?2) ELSE ?1 END`, ids, x.Source, x.Key)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return dag.ErrNotFound
		}
		artifacts, err := artifactsByID(s, ids)
		if err != nil {
			return err
		}
		source = list[0].Execution
		return list[0].fill(artifacts)
	})
	if err != nil {
		return nil, fmt.Errorf("look for what made the outputs of task %q: %w", x.Path, err)
	}
	return source, nil
}
