package sqlite_test

import (
	"database/sql"
	"testing"

	"github.com/wherry-ml/wherry/sqlite"
)

// raw opens the file a second time, as a stranger would.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db := rawDB(path)
	t.Cleanup(func() { db.Close() })
	return db
}

func count(t testing.TB, d *sqlite.DB, table string) (n int) {
	t.Helper()
	if err := raw(t, d.Path()).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func rawDB(path string) *sql.DB {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	return db
}
