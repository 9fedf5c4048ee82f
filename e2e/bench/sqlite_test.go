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
		normal, full, lookUp := floors(b)
		results := goBench(b, "./sqlite", "^(BenchmarkLineage|BenchmarkTransitions)$")
		worst, name := sample{}, ""
		for k, v := range results {
			if !strings.HasPrefix(k, "Lineage/") {
				continue
			}
			if s := sampleOf(v["ms/op"]); s.median >= worst.median {
				worst, name = s, strings.TrimPrefix(k, "Lineage/")
			}
		}
		if name == "" {
			b.Fatal("package sqlite reports no lineage")
		}
		b.ReportMetric(worst.median, "lineage-ms")
		within(b, worst, 10, row{
			what: "lineage of depth 20 over a million events", figure: ", " + name,
			floor: fmt.Sprintf("%.3f ms for one row by its key", lookUp.median),
		})
		rate := func(name string) float64 {
			list := results["Transitions/"+name]["transitions/s"]
			if len(list) == 0 {
				b.Fatalf("package sqlite reports no transitions %q", name)
			}
			return median(list)
		}
		b.ReportMetric(rate("alone"), "transitions/s")
		check(b, rate("alone") >= 5000, row{
			what: "state transitions, each its own transaction", figure: fmt.Sprintf("%.0f/s", rate("alone")),
			limit: "5000/s", floor: fmt.Sprintf("%.0f/s commits of one row", 1e3/normal.median),
		})
		floor("  100 in a transaction", fmt.Sprintf("%.0f/s", rate("batch=100")))
		floor("  on the disk, each", fmt.Sprintf("%.0f/s", rate("durable")))
		floor("  on the disk, 100 in a transaction", fmt.Sprintf("%.0f/s", rate("durable/batch=100")))
		floor("one SQLite commit, NORMAL", fmt.Sprintf("%.3f ms", normal.median))
		floor("one SQLite commit, FULL", fmt.Sprintf("%.3f ms", full.median))
	}
	b.ReportMetric(0, "ns/op")
}

// floors are the times of a commit of one row, without and with a sync of the
// disk, and of reading one row.
func floors(b *testing.B) (normal, full, lookUp sample) {
	normal, _ = commit(b, "NORMAL")
	full, lookUp = commit(b, "FULL")
	return normal, full, lookUp
}

func commit(b *testing.B, synchronous string) (write, read sample) {
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
	write = millis(b, 200, func() error {
		_, err := db.Exec("INSERT INTO t (b) VALUES ('SUCCEEDED')")
		return err
	})
	read = millis(b, 200, func() error {
		var text string
		return db.QueryRow("SELECT b FROM t WHERE a = 100").Scan(&text)
	})
	return write, read
}

// goBench runs benchmarks of another package three times and returns their
// metrics by name and unit.
func goBench(b *testing.B, pkg, pattern string) map[string]map[string][]float64 {
	b.Helper()
	cmd := exec.Command(goTool(), "test", "-run=^$", "-bench="+pattern, "-benchtime=200ms", "-count=3", pkg)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("go test -bench %s: %v\n%s", pkg, err, tail(string(out)))
	}
	results := map[string]map[string][]float64{}
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
		if results[name] == nil {
			results[name] = map[string][]float64{}
		}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				results[name][f[i+1]] = append(results[name][f[i+1]], v)
			}
		}
	}
	return results
}
