package bench

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// fillDatabase repeats the newest run of a database, as if each of its tasks had run
// anew each time with other inputs, until there are this many executions, and returns
// how many there are.
func fillDatabase(b *testing.B, path string, executions int) int {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_synchronous=OFF")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var first string
	if err := db.QueryRow(`SELECT run FROM executions WHERE state = 'SUCCEEDED' AND cached = 0 LIMIT 1`).Scan(&first); err != nil {
		b.Fatal(err)
	}
	count := func() (n int) {
		if err := db.QueryRow(`SELECT count(*) FROM executions`).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	n := count()
	for i := 0; n < executions; i++ {
		repeatRun(b, db, first, fmt.Sprintf("earlier%03d", i))
		n = count()
	}
	if _, err := db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		b.Fatal(err)
	}
	return n
}

// repeatRun copies a run with its executions, attempts, events and cache entries.
func repeatRun(b *testing.B, db *sql.DB, from, to string) {
	b.Helper()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, c := range []struct {
		table, source string
		instead       map[string]string // what a column gets
	}{
		{"runs", "runs s WHERE s.id = ?1", map[string]string{"id": "?2"}},
		{"executions", "executions s WHERE s.run = ?1 ORDER BY s.id", map[string]string{"id": "NULL", "run": "?2", "key": "'sha256:' || lower(hex(randomblob(32)))"}},
		{"attempts", "attempts s " + sameTask("s.execution"), map[string]string{"execution": "n.id"}},
		{"events", "events s " + sameTask("s.execution"), map[string]string{"execution": "n.id"}},
		{"cache_entries", "cache_entries s " + sameTask("s.execution"), map[string]string{"execution": "n.id", "key": "n.key"}},
	} {
		var columns, values []string
		for _, name := range columnsOf(b, tx, c.table) {
			value, ok := c.instead[name]
			if !ok {
				value = "s." + name
			}
			columns, values = append(columns, name), append(values, value)
		}
		_, err := tx.Exec("INSERT INTO "+c.table+" ("+strings.Join(columns, ", ")+") SELECT "+strings.Join(values, ", ")+" FROM "+c.source, from, to)
		if err != nil {
			b.Fatalf("copy %s: %v", c.table, err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// sameTask joins rows of an execution of the first run to the same task's of the second.
func sameTask(execution string) string {
	return "JOIN executions o ON o.id = " + execution + " JOIN executions n ON n.run = ?2 AND n.path = o.path WHERE o.run = ?1"
}

func columnsOf(b *testing.B, tx *sql.Tx, table string) (names []string) {
	b.Helper()
	rows, err := tx.Query("SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			b.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil || len(names) == 0 {
		b.Fatalf("columns of %s: %v", table, err)
	}
	return names
}
