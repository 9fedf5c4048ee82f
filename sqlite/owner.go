package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/wherry-ml/wherry/dag"
)

// Own makes the caller the run's owner, see dag.Store.
func (d *DB) Own(ctx context.Context, run string) (epoch int64, err error) {
	err = d.update(ctx, false, func(t *tx) error {
		_, err := t.exec(`INSERT INTO owners (run, epoch) SELECT id, 1 FROM runs WHERE id = ?
			ON CONFLICT DO UPDATE SET epoch = epoch + 1`, run)
		if err != nil {
			return err
		}
		epoch, err = epochOf(t, run)
		return err
	})
	if err == nil && epoch == 0 {
		err = dag.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("own run %q: %w", run, err)
	}
	return epoch, nil
}

// Owns returns a *dag.TakenOverError unless the owner of this epoch is still the
// run's.
func (d *DB) Owns(ctx context.Context, run string, epoch int64) error {
	err := d.view(ctx, func(s *snapshot) error { return owns(s, run, epoch) })
	if err != nil {
		return fmt.Errorf("look at the owner of run %q: %w", run, err)
	}
	return nil
}

func owns(q querier, run string, epoch int64) error {
	now, err := epochOf(q, run)
	if err == nil && now != epoch {
		err = &dag.TakenOverError{Run: run}
	}
	return err
}

// epochOf is 0 where nobody has ever owned the run.
func epochOf(q querier, run string) (epoch int64, err error) {
	err = q.row(`SELECT epoch FROM owners WHERE run = ?`, run).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return epoch, err
}
