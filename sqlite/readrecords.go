package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Incoming are records that were checked: they fit the tables of this database.
type Incoming struct {
	records *Records
	Runs    []IncomingRun
}

// IncomingRun is a run among incoming records.
type IncomingRun struct{ ID, Name, State string }

// ReadRecords checks records: dir is an empty folder in which a database of their own
// is made, so that those of an older wherry are brought up to date and what would not
// fit is found before anything is changed. Records of a newer one are a *NewerError.
func ReadRecords(ctx context.Context, text []byte, dir string) (*Incoming, error) {
	r := &Records{}
	if err := decode(string(text), r); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "records.db")
	if err := fillNew(ctx, path, r); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	d, err := Open(ctx, path, Options{})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	in := &Incoming{records: &Records{}}
	err = d.view(ctx, func(s *snapshot) error {
		for _, c := range carried {
			all := selection{}
			if err := all.query(s, "all", `SELECT `+c.column+` FROM `+c.table); err != nil {
				return err
			}
			t, err := dump(s, c.table, c.column, all["all"])
			if err != nil {
				return err
			}
			in.records.Tables = append(in.records.Tables, t)
		}
		return nil
	})
	runs := in.records.table("runs")
	for _, row := range runs.Rows {
		in.Runs = append(in.Runs, IncomingRun{ID: runs.text(row, "id"), Name: runs.text(row, "name"), State: runs.text(row, "state")})
	}
	return in, err
}

// fillNew makes a database of the records' own version.
func fillNew(ctx context.Context, path string, r *Records) error {
	steps, err := migrationSteps()
	if err != nil {
		return err
	}
	if r.Schema > len(steps) {
		return &NewerError{Path: "in the bundle", Version: r.Schema, Known: len(steps)}
	}
	if r.Schema < 1 {
		return errors.New("their version is missing")
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?_foreign_keys=1")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	t := &tx{ctx: ctx, conn: conn}
	for i, step := range steps[:r.Schema] {
		if err := migrateStep(t, i, step); err != nil {
			return err
		}
	}
	if _, err := t.exec("BEGIN; PRAGMA defer_foreign_keys = 1"); err != nil {
		return err
	}
	for i := range r.Tables {
		if err := insertRows(t, &r.Tables[i]); err != nil {
			return err
		}
	}
	_, err = t.exec("COMMIT")
	return err
}

func insertRows(t *tx, rows *tableRows) error {
	if !slices.ContainsFunc(carried, func(c struct{ table, column, ids string }) bool { return c.table == rows.Name }) {
		return fmt.Errorf("%q is no table that travels", rows.Name)
	}
	known, _, err := tableColumns(t, rows.Name)
	if err != nil {
		return err
	}
	for _, c := range rows.Columns {
		if !slices.Contains(known, c) {
			return fmt.Errorf("table %s has no column %q", rows.Name, c)
		}
	}
	for _, row := range rows.Rows {
		if len(row) != len(rows.Columns) {
			return fmt.Errorf("a row of %s has %d values, not %d", rows.Name, len(row), len(rows.Columns))
		}
		if err := insertRow(t, rows.Name, rows.Columns, row, ""); err != nil {
			return fmt.Errorf("table %s: %w", rows.Name, err)
		}
	}
	return nil
}

// insertRow inserts a row; rest follows the statement.
func insertRow(t *tx, table string, columns []string, row []any, rest string) error {
	marks := ""
	values := make([]any, len(row))
	for i, v := range row {
		if i > 0 {
			marks += ", "
		}
		marks += "?"
		var err error
		if values[i], err = cellValue(v); err != nil {
			return err
		}
	}
	_, err := t.exec(`INSERT INTO `+table+` (`+joinColumns(columns)+`) VALUES (`+marks+`) `+rest, values...)
	return err
}

func cellValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, int64, float64, []byte:
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case map[string]any:
		if s, ok := v["base64"].(string); ok {
			return base64.StdEncoding.DecodeString(s)
		}
	}
	return nil, fmt.Errorf("a value of type %T", v)
}
