package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/wherry-ml/wherry/tuner"
)

// OpenAsked returns the id of the newest experiment with e's name whose trials somebody
// else runs, and stores e where there is none. Of several that come at once with a new
// name one stores its own, and the others find it.
func (d *DB) OpenAsked(ctx context.Context, e *tuner.Experiment) (id string, err error) {
	spec, err := experimentSpec(e)
	if err == nil {
		err = d.update(ctx, true, func(t *tx) error {
			err := t.row(`SELECT id FROM experiments WHERE name = ? AND json_extract(spec, '$.trial.pipeline') IS NULL
				ORDER BY created DESC, id DESC LIMIT 1`, e.Name).Scan(&id)
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			id = e.ID
			_, err = t.exec(`INSERT INTO experiments (id, name, spec, state, reason, message, created, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ID, e.Name, spec, e.State, e.Reason, e.Message, stamp(e.Created), stamp(e.Ended))
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("open experiment %q: %w", e.Name, err)
	}
	return id, nil
}

// FindAsked returns the id of the newest experiment of that name whose trials somebody
// else runs; else it is a *NotFoundError.
func (d *DB) FindAsked(ctx context.Context, name string) (id string, err error) {
	err = d.view(ctx, func(s *snapshot) error {
		list, err := experimentRows(s, ` WHERE e.name = ?1 AND json_extract(e.spec, '$.trial.pipeline') IS NULL
			ORDER BY e.created DESC, e.id DESC LIMIT 1`, name)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			id = list[0].ID
			return nil
		}
		found, err := findExperiment(s, name)
		if err == nil {
			id = found.ID
		}
		return err
	})
	return id, err
}
