package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// Options are how a database is opened.
type Options struct {
	// BusyTimeout is how long a write waits for another process's; then it is a
	// *LockedError. 0: 5 s.
	BusyTimeout time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path    string
	timeout time.Duration
	now     func() time.Time
	reader  *sql.DB

	// The one writer connection. turn holds a token that its user takes; the
	// fields below belong to whoever has it.
	turn   chan struct{}
	writer *sql.DB
	conn   *sql.Conn
	full   bool // PRAGMA synchronous is FULL
	closed bool

	mu   sync.Mutex
	used map[string]time.Time // cache entries that were used, not written yet
}

// step is how long SQLite itself waits for a lock before Go looks at the
// context again.
const step = 100 * time.Millisecond

// readers is how many connections read at once; each may cache 2 MB.
const readers = 4

// writerCache is how much of the database the writer may cache, in KB: what a
// transaction over 1,000 executions changes in a large one. With less, SQLite writes
// pages out in the middle of it and reads them again, several times.
const writerCache = 32 << 10

// Open opens the database at path, creates it where there is none, and brings
// its tables up to date. The directory must exist. A database that is held by
// another process for longer than the busy timeout is a *LockedError, one of a
// newer wherry a *NewerError.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	d := &DB{path: abs, timeout: o.BusyTimeout, now: o.Now, turn: make(chan struct{}, 1), used: map[string]time.Time{}}
	if d.timeout == 0 {
		d.timeout = 5 * time.Second
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.turn <- struct{}{}
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("open database %s: %w", abs, err)
	}
	return d, nil
}

func (d *DB) open(ctx context.Context) error {
	if err := openable(d.path); err != nil {
		return err
	}
	var err error
	d.writer, err = sql.Open("sqlite3", d.dsn(url.Values{
		"_journal_mode": {"WAL"},
		"_txlock":       {"immediate"},
		"_busy_timeout": {milliseconds(min(step, d.timeout))},
		"_synchronous":  {"NORMAL"},
		"_cache_size":   {strconv.Itoa(-writerCache)},
	}))
	if err != nil {
		return err
	}
	d.writer.SetMaxOpenConns(1)
	// Two processes that turn a new file to WAL at once get SQLITE_BUSY without a wait.
	err = d.retry(ctx, func() (err error) {
		d.conn, err = d.writer.Conn(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := d.migrate(ctx); err != nil {
		return err
	}
	// Not mode=ro: the last connection to close would then leave -wal behind when
	// another process's writer died.
	d.reader, err = sql.Open("sqlite3", d.dsn(url.Values{
		"_query_only":   {"1"},
		"_busy_timeout": {milliseconds(d.timeout)},
	}))
	if err != nil {
		return err
	}
	d.reader.SetMaxOpenConns(readers)
	d.reader.SetMaxIdleConns(readers)
	return nil
}

// openable says what SQLite would only call "unable to open database file". It
// does not open the file: closing it again would drop the locks that another DB
// of this process has on it, as POSIX has it.
func openable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &ForeignError{Path: path}
	}
	_, err := os.Stat(filepath.Dir(path))
	return err
}

func (d *DB) dsn(q url.Values) string {
	q.Set("_foreign_keys", "1")
	q.Set("_stmt_cache_size", "64")
	u := url.URL{Scheme: "file", OmitHost: true, Path: d.path, RawQuery: q.Encode()}
	return u.String()
}

func milliseconds(t time.Duration) string {
	return strconv.FormatInt(max(1, t.Milliseconds()), 10)
}

// Path is where the database lies.
func (d *DB) Path() string { return d.path }

// Close writes what is left to write and closes the database; the last process
// to do so leaves no -wal file. It can be repeated.
func (d *DB) Close() error {
	if d.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
		defer cancel()
		_ = d.flushUsed(ctx) // only the age of cache entries
	}
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.reader != nil { // first: the writer tidies up when it is the last
		errs = append(errs, d.reader.Close())
	}
	if d.conn != nil {
		// Passive: it waits for nobody. What it can't move stays safe in the -wal file.
		_, _ = d.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
		errs = append(errs, d.conn.Close())
	}
	if d.writer != nil {
		errs = append(errs, d.writer.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close database %s: %w", d.path, err)
	}
	return nil
}

func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
