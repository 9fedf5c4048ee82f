package bench

import (
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // for the floors: SQLite with nothing between
)

// BenchmarkSQLite runs the benchmarks of package sqlite, which build the million
// events, and holds them against their limits. The floors are single commits of
// one row.
func BenchmarkSQLite(b *testing.B) {
	for b.Loop() {
		normal, full := commit(b, "NORMAL"), commit(b, "FULL")
		results := goBench(b, "./sqlite", "^(BenchmarkLineage|BenchmarkTransitions)$")
		worst, name := 0.0, ""
		for k, v := range results {
			if ms := v["ms/op"]; strings.HasPrefix(k, "Lineage/") && ms >= worst {
				worst, name = ms, strings.TrimPrefix(k, "Lineage/")
			}
		}
		b.ReportMetric(worst, "lineage-ms")
		check(b, name != "" && worst < 10, row{
			what: "lineage of depth 20 over a million events", figure: fmt.Sprintf("%.1f ms (%s)", worst, name), limit: "10 ms",
		})
		rate := func(name string) float64 { return results["Transitions/"+name]["transitions/s"] }
		b.ReportMetric(rate("alone"), "transitions/s")
		check(b, rate("alone") >= 5000, row{
			what: "state transitions, each its own transaction", figure: fmt.Sprintf("%.0f/s", rate("alone")),
			limit: "5000/s", floor: fmt.Sprintf("%.0f/s commits of one row", 1e3/normal),
		})
		floor("  100 in a transaction", fmt.Sprintf("%.0f/s", rate("batch=100")))
		floor("  on the disk, each", fmt.Sprintf("%.0f/s", rate("durable")))
		floor("  on the disk, 100 in a transaction", fmt.Sprintf("%.0f/s", rate("durable/batch=100")))
		floor("one SQLite commit, NORMAL", fmt.Sprintf("%.3f ms", normal))
		floor("one SQLite commit, FULL", fmt.Sprintf("%.3f ms", full))
	}
	b.ReportMetric(0, "ns/op")
}

// commit is the median time of a commit of one row, in ms.
func commit(b *testing.B, synchronous string) float64 {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.TempDir(), "floor.db")+"?_journal_mode=WAL&_synchronous="+synchronous)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"); err != nil {
		b.Fatal(err)
	}
	return millis(b, 200, func() error {
		_, err := db.Exec("INSERT INTO t (b) VALUES ('SUCCEEDED')")
		return err
	})
}

// goBench runs benchmarks of another package and returns their metrics by name
// and unit.
func goBench(b *testing.B, pkg, pattern string) map[string]map[string]float64 {
	b.Helper()
	cmd := exec.Command(goTool(), "test", "-run=^$", "-bench="+pattern, "-benchtime=300ms", pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("go test -bench %s: %v\n%s", pkg, err, tail(string(out)))
	}
	results := map[string]map[string]float64{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(f[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // GOMAXPROCS
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		metrics := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			metrics[f[i+1]], _ = strconv.ParseFloat(f[i], 64)
		}
		results[name] = metrics
	}
	return results
}
