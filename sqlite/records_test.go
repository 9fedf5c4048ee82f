package sqlite_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// moved are places that put a prefix before what leaves, or take it away.
func moved(from, to string) sqlite.Places {
	one := func(path string) string {
		if rest, ok := strings.CutPrefix(path, from); ok {
			return to + rest
		}
		return path
	}
	return sqlite.Places{URI: one, Run: func(o *dag.RunOptions, p *dag.Pipeline) { p.File = one(p.File) }}
}

func export(t *testing.T, d *sqlite.DB, run string) *sqlite.Records {
	t.Helper()
	r, err := d.ExportRun(t.Context(), run, moved("/runs/", "home:"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *sqlite.Records) []byte {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func takeIn(t *testing.T, d *sqlite.DB, text []byte) *sqlite.TakenIn {
	t.Helper()
	in, err := sqlite.ReadRecords(t.Context(), text, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Import(t.Context(), in, moved("home:", "/other/"))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRecordsTables: every table travels or is known to stay. Who adds one decides.
func TestRecordsTables(t *testing.T) {
	d := open(t, "")
	rows, err := raw(t, d.Path()).Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(sqlite.CarriedTables(), name) {
			t.Errorf("table %s: add it to carried or to notCarried in records.go", name)
		}
	}
}

// TestRecordsMove: a run that took cached results comes with the executions that made
// them, lineage is whole, and the cache knows them, whatever ids there are already.
func TestRecordsMove(t *testing.T) {
	from, to := library(t), open(t, "")
	newRun(t, to, "mine")
	for range 3 { // other ids than there
		mine := task("mine", "x", dag.Succeeded)
		mine.Outputs = outputs(map[string][]dag.Artifact{"x": {artifact("x", "9999")}})
		commit(t, to, dag.Batch{Executions: []*dag.Execution{mine}})
	}
	records := export(t, from, "c1")
	got := takeIn(t, to, text(t, records))
	slices.Sort(got.Runs)
	if diff := cmp.Diff(&sqlite.TakenIn{Runs: []string{"c0ffee", "c1"}, Executions: 7, Entries: 2}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	want, wantTasks, err := from.LoadRun(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	run, tasks, err := to.LoadRun(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	neutral(wantTasks, "/runs/")
	neutral(tasks, "/other/")
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("run: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(wantTasks, tasks); diff != "" {
		t.Errorf("tasks: -want +got\n%s", diff)
	}
	entry, err := to.LookupCache(t.Context(), "t")
	if err != nil || entry.Run != "c0ffee" || entry.Outputs.Artifacts["model"][0].Digest != "sha256:bbbb1111" {
		t.Errorf("the cache says %+v, %v", entry, err)
	}
	if there, here := picture(t, from, "bbbb", sqlite.Up, 20), picture(t, to, "bbbb", sqlite.Up, 20); there != here {
		t.Errorf("lineage\n%s\nhas become\n%s", there, here)
	}
	var digests []string
	for _, u := range records.Uses {
		digests = append(digests, u.Digest)
	}
	if want := []string{"sha256:aaaa1111", "sha256:aaaa2222", "sha256:bbbb1111", "sha256:ccccc0ffee", "sha256:ccccc1"}; !slices.Equal(digests, want) {
		t.Errorf("it uses %v", digests)
	}
}

// neutral takes away what is different on another machine.
func neutral(tasks []*dag.Execution, home string) {
	for _, x := range tasks {
		x.ID, x.Parent = 0, 0
		for _, v := range []dag.Values{x.Inputs, x.Outputs} {
			for _, list := range v.Artifacts {
				for i := range list {
					list[i].ID, list[i].URI = 0, strings.TrimPrefix(list[i].URI, home)
				}
			}
		}
	}
}

// TestRecordsTwice: what is there stays; a run of which a part has come is completed.
func TestRecordsTwice(t *testing.T) {
	from, to := library(t), open(t, "")
	second := text(t, export(t, from, "c1"))
	if again := text(t, export(t, from, "c1")); string(again) != string(second) {
		t.Error("the same run is other records")
	}
	takeIn(t, to, second)
	if got := takeIn(t, to, second); got.Executions != 0 || got.Entries != 0 || len(got.Runs) != 0 {
		t.Errorf("a second time it brought %+v", got)
	}
	before := count(t, to, "artifacts")
	got := takeIn(t, to, text(t, export(t, from, "c0ffee")))
	if len(got.Runs) != 0 || got.Executions != 1 { // group: nothing of it was needed
		t.Errorf("the rest of c0ffee: %+v", got)
	}
	if after := count(t, to, "artifacts"); after != before {
		t.Errorf("%d artifacts have become %d", before, after)
	}
	if _, tasks, err := to.LoadRun(t.Context(), "c0ffee"); err != nil || len(tasks) != 4 {
		t.Errorf("it has %d tasks, %v", len(tasks), err)
	}
}

// TestRecordsStay: where they come from, they are all there already.
func TestRecordsStay(t *testing.T) {
	d := library(t)
	in, err := sqlite.ReadRecords(t.Context(), text(t, export(t, d, "c1")), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := count(t, d, "artifacts")
	got, err := d.Import(t.Context(), in, moved("home:", "/runs/"))
	if after := count(t, d, "artifacts"); err != nil || got.Executions+got.Entries+len(got.Runs) != 0 || after != before {
		t.Errorf("%+v, %v, and %d artifacts of %d", got, err, after, before)
	}
}

// TestRecordsGoingOn: of an earlier run that still goes on, what it has finished comes,
// and nobody tries to resume it.
func TestRecordsGoingOn(t *testing.T) {
	from, to := open(t, ""), open(t, "")
	newRun(t, from, "open")
	made := task("open", "train", dag.Succeeded)
	made.Key, made.Reads = "k", &dag.Reads{Base: "b", Sources: []dag.SourceRead{{Target: "/app", Digest: "sha256:1"}}}
	commit(t, from, dag.Batch{Executions: []*dag.Execution{made}})
	run := newRun(t, from, "done")
	hit := task("done", "train", dag.Succeeded)
	hit.Key, hit.Cached, hit.Source = "other", true, made.ID // the same as far as it is read
	newRun(t, to, "mine")
	commit(t, to, dag.Batch{Executions: []*dag.Execution{task("mine", "x", dag.Failed), task("mine", "y", dag.Failed)}})
	run.State, run.Ended = dag.Succeeded, noon.Add(time.Second)
	commit(t, from, dag.Batch{Executions: []*dag.Execution{hit}, Run: run})
	takeIn(t, to, text(t, export(t, from, "done")))
	if left, err := to.Interrupted(t.Context()); err != nil || len(left) != 1 || left[0].ID != "mine" {
		t.Errorf("interrupted: %v, %v", left, err)
	}
	if past, err := to.PastReads(t.Context(), "b"); err != nil || len(past) != 1 || past[0].Run != "open" || past[0].Sources[0].Target != "/app" {
		t.Errorf("what it has read is %+v, %v", past, err)
	}
	_, tasks, err := to.LoadRun(t.Context(), "done")
	if err != nil {
		t.Fatal(err)
	}
	if source, err := to.SourceOf(t.Context(), tasks[0]); err != nil || source.Run != "open" {
		t.Errorf("it was made by %+v, %v", source, err)
	}
	if _, err := to.LookupCache(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// TestRecordsOld: those of the first version are brought up to date.
func TestRecordsOld(t *testing.T) {
	d := open(t, "")
	old := `{"schema": 1, "tables": [
		{"name": "pipelines", "columns": ["id", "digest", "name", "json", "created"], "rows": [[4, "d", "flow", "{\"name\":\"flow\"}", 1]]},
		{"name": "runs", "columns": ["id", "name", "pipeline", "pipeline_name", "options", "parameters", "outputs", "state", "error", "cancel", "created", "started", "ended"],
		 "rows": [["r1", "first", 4, "flow", "{}", "null", "{}", "SUCCEEDED", "", 0, 1, 1, 1]]}]}`
	if got := takeIn(t, d, []byte(old)); !slices.Equal(got.Runs, []string{"r1"}) {
		t.Errorf("%+v", got)
	}
	if run, _, err := d.LoadRun(t.Context(), "r1"); err != nil || run.Pipeline.Name != "flow" {
		t.Errorf("%+v, %v", run, err)
	}
}

// TestRecordsRefused: what does not fit is refused before anything is changed.
func TestRecordsRefused(t *testing.T) {
	for name, bad := range map[string]string{
		"newer":          `{"schema": 1000, "tables": []}`,
		"no version":     `{"tables": []}`,
		"no JSON":        `{"schema": 1`,
		"another table":  `{"schema": 2, "tables": [{"name": "admissions", "columns": [], "rows": []}]}`,
		"a system table": `{"schema": 1, "tables": [{"name": "sqlite_schema", "columns": ["sql"], "rows": [["x"]]}]}`,
		"another column": `{"schema": 1, "tables": [{"name": "runs", "columns": ["id\") --"], "rows": [["x"]]}]}`,
		"a short row":    `{"schema": 1, "tables": [{"name": "runs", "columns": ["id", "name"], "rows": [["x"]]}]}`,
		"no pipeline": `{"schema": 1, "tables": [{"name": "runs", "columns": ["id", "name", "pipeline", "pipeline_name", "options", "parameters", "outputs",
			"state", "error", "cancel", "created", "started", "ended"], "rows": [["r1", "first", 4, "flow", "{}", "null", "{}", "SUCCEEDED", "", 0, 1, 1, 1]]}]}`,
	} {
		in, err := sqlite.ReadRecords(t.Context(), []byte(bad), t.TempDir())
		if err == nil {
			t.Errorf("%s: it was read: %+v", name, in)
		}
		if newer := (*sqlite.NewerError)(nil); errors.As(err, &newer) != (name == "newer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
