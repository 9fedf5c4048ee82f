package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// tx is a write transaction. Its statements run to their end whatever becomes
// of the caller's context: it is short, and a context that can end costs
// go-sqlite3 a goroutine for each statement.
type tx struct {
	ctx  context.Context
	conn *sql.Conn
	undo []func() // what to take back in memory when the transaction is not committed
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(t.ctx, query, args...)
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.ctx, query, args...)
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	return t.conn.QueryContext(t.ctx, query, args...)
}

// insert runs an INSERT and returns the new row's id.
func (t *tx) insert(query string, args ...any) (int64, error) {
	res, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// assign sets *id for as long as the transaction is not rolled back.
func (t *tx) assign(id *int64, value int64) {
	*id = value
	t.undo = append(t.undo, func() { *id = 0 })
}

// update runs fn in a write transaction, which it commits when fn returns nil.
// With durable the commit has reached the disk when update returns, and with it
// all earlier ones; else a power cut (never a crash) can take back the last ones.
func (d *DB) update(ctx context.Context, durable bool, fn func(*tx) error) error {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { d.turn <- struct{}{} }()
	if d.closed {
		return errClosed
	}
	t := &tx{ctx: context.WithoutCancel(ctx), conn: d.conn}
	if err := d.synchronous(t, durable); err != nil {
		return d.typed(err)
	}
	if err := d.retry(ctx, func() error { _, err := t.exec("BEGIN IMMEDIATE"); return err }); err != nil {
		return err
	}
	err := fn(t)
	if err == nil {
		_, err = t.exec("COMMIT")
	}
	if err != nil {
		// SQLite has rolled back by itself after some errors: this one's own error
		// says nothing then.
		_, _ = t.exec("ROLLBACK")
		for _, f := range t.undo {
			f()
		}
		return d.typed(err)
	}
	return nil
}

var errClosed = errors.New("the database is closed")

// synchronous sets the writer's mode, which SQLite allows between transactions
// only.
func (d *DB) synchronous(t *tx, full bool) error {
	if d.full == full {
		return nil
	}
	mode := "NORMAL"
	if full {
		mode = "FULL"
	}
	if _, err := t.exec("PRAGMA synchronous = " + mode); err != nil {
		return err
	}
	d.full = full
	return nil
}

// retry repeats fn while the database is locked by somebody else, until the busy
// timeout or ctx ends. fn itself waits for step.
func (d *DB) retry(ctx context.Context, fn func() error) error {
	deadline := time.Now().Add(d.timeout)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := fn()
		if err == nil || !isBusy(err) {
			return d.typed(err)
		}
		if !time.Now().Before(deadline) {
			return d.typed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond): // SQLITE_BUSY may come without a wait
		}
	}
}

// view runs fn on a snapshot of the database.
func (d *DB) view(ctx context.Context, fn func(*snapshot) error) error {
	t, err := d.reader.BeginTx(ctx, nil)
	if err != nil {
		return d.typed(err)
	}
	defer func() { _ = t.Rollback() }()
	return d.typed(fn(&snapshot{ctx: ctx, tx: t}))
}

// glance is view for a few rows by their keys. It is short, and so it can't be ended:
// contexts that can end, and those of a sql.Tx do, cost a goroutine for each statement.
func (d *DB) glance(ctx context.Context, fn func(*snapshot) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	conn, err := d.reader.Conn(ctx)
	if err != nil {
		return d.typed(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return d.typed(err)
	}
	defer func() {
		if _, e := conn.ExecContext(ctx, "ROLLBACK"); e != nil { // the next one must not see this snapshot
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	return d.typed(fn(&snapshot{ctx: ctx, tx: conn}))
}

// snapshot is a read transaction.
type snapshot struct {
	ctx context.Context
	tx  interface {
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (s *snapshot) row(query string, args ...any) *sql.Row {
	return s.tx.QueryRowContext(s.ctx, query, args...)
}

func (s *snapshot) query(query string, args ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(s.ctx, query, args...)
}

// querier is what a snapshot and a write transaction have in common.
type querier interface {
	row(query string, args ...any) *sql.Row
	query(query string, args ...any) (*sql.Rows, error)
}

// each scans every row of a query.
func each(q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("read row: %w", err)
		}
	}
	return rows.Err()
}
