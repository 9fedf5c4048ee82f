package e2e

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdSQL asks the home's database, as nobody but a test does: each row that QUERY gives
// must be WANT, its columns with spaces between, and there must be one at least.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "sql QUERY WANT")
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(ts.Getenv("WHERRY_HOME"), "wherry.db")+"?mode=ro&_busy_timeout=5000")
	ts.Check(err)
	defer db.Close()
	rows, err := db.Query(args[0])
	ts.Check(err)
	defer rows.Close()
	columns, err := rows.Columns()
	ts.Check(err)
	n := 0
	for ; rows.Next(); n++ {
		cells, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			to[i] = &cells[i]
		}
		ts.Check(rows.Scan(to...))
		if got := strings.TrimSpace(fmt.Sprintln(cells...)); got != args[1] {
			ts.Fatalf("%s\nrow %d is %q, want %q", args[0], n, got, args[1])
		}
	}
	ts.Check(rows.Err())
	if n == 0 {
		ts.Fatalf("%s\nthere is no row", args[0])
	}
}
