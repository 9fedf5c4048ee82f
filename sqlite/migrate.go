package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// application marks a file as ours (PRAGMA application_id): "wher" in ASCII.
const application = 0x77686572

// migrate brings the tables up to date. Two processes may do it at once: each
// step looks again once it holds the write lock.
func (d *DB) migrate(ctx context.Context) error {
	steps, err := migrationSteps()
	if err != nil {
		return err
	}
	for {
		version, err := d.version(ctx)
		if err != nil {
			return err
		}
		if version > len(steps) {
			return &NewerError{Path: d.path, Version: version, Known: len(steps)}
		}
		if version == len(steps) {
			return nil
		}
		if err := d.update(ctx, true, func(t *tx) error { return migrateStep(t, version, steps[version]) }); err != nil {
			return fmt.Errorf("migration %04d: %w", version+1, err)
		}
	}
}

// version reads what the file holds. It takes no lock that a writer could keep.
func (d *DB) version(ctx context.Context) (version int, err error) {
	var app, tables int
	err = d.retry(ctx, func() error {
		const q = `SELECT u.user_version, a.application_id, (SELECT count(*) FROM sqlite_schema)
			FROM pragma_user_version u, pragma_application_id a`
		return d.conn.QueryRowContext(ctx, q).Scan(&version, &app, &tables)
	})
	if err == nil && app != application && tables > 0 {
		return 0, &ForeignError{Path: d.path}
	}
	return version, err
}

func migrateStep(t *tx, version int, text string) error {
	var now int
	if err := t.row("PRAGMA user_version").Scan(&now); err != nil {
		return err
	}
	if now != version {
		return nil // another process was faster
	}
	_, err := t.exec(text + fmt.Sprintf(";\nPRAGMA application_id = %d;\nPRAGMA user_version = %d", application, version+1))
	return err
}

// migrationSteps returns the texts in order; file number n takes a database from
// version n-1 to n.
func migrationSteps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var steps []string
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: its number is not %04d", name, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}
