package sqlite

import (
	"context"
	"fmt"
	"time"
)

// SavedTime returns how long the executions took, all together, whose outputs a run
// took from the cache. What has been deleted since is not counted.
func (d *DB) SavedTime(ctx context.Context, run string) (time.Duration, error) {
	var ns int64
	err := d.reader.QueryRowContext(ctx, `SELECT coalesce(sum(o.ended - o.started), 0)
		FROM executions x JOIN executions o
			ON o.id = CASE x.source WHEN 0 THEN (SELECT execution FROM cache_entries WHERE key = x.key) ELSE x.source END
		WHERE x.run = ? AND x.cached = 1 AND o.started > 0 AND o.ended > o.started`, run).Scan(&ns)
	if err != nil {
		return 0, fmt.Errorf("add up what the cache saved run %s: %w", run, err)
	}
	return time.Duration(ns), nil
}
