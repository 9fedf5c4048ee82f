package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/e2e/need"
	"github.com/wherry-ml/wherry/sqlite"
)

// The test binary is its own second process: it does what this variable names.
const childEnv = "WHERRY_SQLITE_TEST_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch path := os.Getenv("WHERRY_SQLITE_TEST_PATH"); os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "open":
		err = childOpen(path)
	case "crash":
		err = childCrash(path)
	case "hold":
		err = childHold(path)
	case "queue":
		err = childQueue(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child prepares the test binary as another process on the same database.
func child(t *testing.T, what, path string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+what, "WHERRY_SQLITE_TEST_PATH="+path)...)
	cmd.Stderr = &bytes.Buffer{}
	return cmd
}

func childOpen(path string) error {
	d, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	r := &dag.Run{ID: fmt.Sprint(os.Getpid()), Pipeline: &dag.Pipeline{Name: "flow"}}
	return errors.Join(d.CreateRun(context.Background(), r), d.Close())
}

// TestManyProcessesOpen: a new file is opened, migrated and written by several
// processes at once.
func TestManyProcessesOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wherry.db")
	const n = 8
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			cmd := child(t, "open", path)
			if err := cmd.Run(); err != nil {
				t.Errorf("%v: %s", err, cmd.Stderr)
			}
		})
	}
	group.Wait()
	noWAL(t, path)
	d := open(t, path)
	if runs, err := d.ListRuns(t.Context(), sqlite.RunFilter{}); err != nil || len(runs) != n {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func noWAL(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s%s is left (%v)", filepath.Base(path), suffix, err)
		}
	}
}

func TestCloseTidiesUp(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "a dir?#%25 &x=1.db"))
	newRun(t, d, "a")
	if _, err := d.LookupCache(t.Context(), "x"); !errors.Is(err, dag.ErrNotFound) { // opens a reader
		t.Fatal(err)
	}
	other := open(t, d.Path())
	for _, db := range []*sqlite.DB{d, other, d} {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	noWAL(t, d.Path())
	if err := d.Commit(t.Context(), &dag.Batch{Run: &dag.Run{ID: "a"}}); err == nil {
		t.Error("a closed database was written")
	}
	if _, _, err := d.LoadRun(t.Context(), "a"); err == nil {
		t.Error("a closed database was read")
	}
	if _, _, err := open(t, d.Path()).LoadRun(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	newer, foreign, text := filepath.Join(dir, "newer.db"), filepath.Join(dir, "foreign.db"), filepath.Join(dir, "text.db")
	open(t, newer).Close()
	for path, q := range map[string]string{newer: "PRAGMA user_version = 99", foreign: "CREATE TABLE x (y)"} {
		if _, err := raw(t, path).Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newer:                               "has version 99, this wherry knows versions up to",
		foreign:                             "is not a database of wherry",
		text:                                "is not a database of wherry",
		dir:                                 "is not a database of wherry",
		filepath.Join(dir, "no", "such.db"): "no such file or directory",
	} {
		_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
			continue
		}
		var hint interface{ Hint() string }
		if !errors.As(err, &hint) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: no hint", err)
		}
	}
}

func TestForeignKeys(t *testing.T) {
	d := open(t, "")
	db := raw(t, d.Path()+"?_foreign_keys=1")
	newRun(t, d, "a")
	e := task("a", "train", dag.Succeeded)
	e.Outputs = outputs(map[string][]dag.Artifact{"model": {artifact("model", "1")}})
	commit(t, d, dag.Batch{Executions: []*dag.Execution{e}})
	if _, err := db.Exec("DELETE FROM artifacts"); err == nil {
		t.Error("an artifact that events name could be deleted")
	}
	if _, err := db.Exec("DELETE FROM runs"); err != nil {
		t.Error(err)
	}
	if n := count(t, d, "executions") + count(t, d, "events"); n != 0 {
		t.Errorf("%d rows of a deleted run are left", n)
	}
}

// childHold keeps the write lock until it is killed.
func childHold(path string) error {
	db := rawDB(path)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	fmt.Println("held")
	select {}
}

// TestLocked: another process holds the lock for longer than the busy timeout; it
// is named, reading goes on, and once it is gone writing does.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wherry.db")
	first := open(t, path)
	newRun(t, first, "a")
	cmd := child(t, "hold", path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	d, err := sqlite.Open(t.Context(), path, sqlite.Options{BusyTimeout: 300 * time.Millisecond}) // up to date: needs no lock
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.RequestCancel(t.Context(), "a")
	locked, ok := errors.AsType[*sqlite.LockedError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if waited := time.Since(start); waited < 300*time.Millisecond || waited > 3*time.Second {
		t.Errorf("waited %s", waited)
	}
	if _, err := os.Stat("/proc/locks"); err == nil && !strings.Contains(locked.Error(), fmt.Sprint("process ", cmd.Process.Pid)) {
		t.Errorf("%v: does not name process %d", locked, cmd.Process.Pid)
	}
	if _, _, err := d.LoadRun(t.Context(), "a"); err != nil {
		t.Errorf("reading is held up: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	if err := first.RequestCancel(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
		t.Errorf("a context that ended: %v after %s", err, time.Since(start))
	}
	time.AfterFunc(200*time.Millisecond, func() { _ = cmd.Process.Kill() })
	if err := first.RequestCancel(t.Context(), "a"); err != nil { // waits up to 5 s
		t.Error(err)
	}
	if cancel, err := d.CancelRequested(t.Context(), "a"); err != nil || !cancel {
		t.Errorf("cancel requested: %t, %v", cancel, err)
	}
}

// TestFull: no space left is a *FullError, what was recorded stays, and with space
// the same batch is committed.
func TestFull(t *testing.T) {
	dir := need.Tmpfs(t, "size=1m")
	d := open(t, filepath.Join(dir, "wherry.db")) // closed before the umount
	newRun(t, d, "a")
	var e *dag.Execution
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		e = task("a", fmt.Sprint("task-", i), dag.Running)
		e.Reason = strings.Repeat("x", 10_000)
		e.Inputs = outputs(map[string][]dag.Artifact{"data": {artifact("data", e.Path)}})
		err = d.Commit(t.Context(), &dag.Batch{Executions: []*dag.Execution{e}, Durable: i%2 == 0})
	}
	full, ok := errors.AsType[*sqlite.FullError](err)
	if !ok || full.Hint() == "" {
		t.Fatalf("got %v", err)
	}
	if e.ID != 0 || e.Inputs.Artifacts["data"][0].ID != 0 {
		t.Errorf("IDs of what was not committed: %+v", e)
	}
	_, executions, err := d.LoadRun(t.Context(), "a")
	if err != nil || len(executions) == 0 {
		t.Fatalf("%d executions, %v", len(executions), err)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=4m", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	commit(t, d, dag.Batch{Executions: []*dag.Execution{e}, Durable: true})
	if _, again, err := d.LoadRun(t.Context(), "a"); err != nil || len(again) != len(executions)+1 {
		t.Errorf("%d executions after %d, %v", len(again), len(executions), err)
	}
}

// childCrash commits for ever and says what it has committed.
func childCrash(path string) error {
	ctx := context.Background()
	d, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	if err := d.CreateRun(ctx, &dag.Run{ID: "a", State: dag.Running, Pipeline: &dag.Pipeline{Name: "flow"}}); err != nil {
		return err
	}
	for i := 0; ; i++ {
		one, two := task("a", fmt.Sprint(i), dag.Succeeded), task("a", fmt.Sprint(i, "-twin"), dag.Succeeded)
		one.Outputs = outputs(map[string][]dag.Artifact{"model": {artifact("model", one.Path)}})
		if err := d.Commit(ctx, &dag.Batch{Executions: []*dag.Execution{one, two}, Durable: i%10 == 0}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestCrash: after kill -9 every commit that returned is there, whole, and the
// next process needs no repair.
func TestCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wherry.db")
	cmd := child(t, "crash", path)
	out := &bytes.Buffer{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	lines := strings.Count(out.String(), "\n")
	if lines == 0 {
		t.Fatalf("nothing was committed: %s", cmd.Stderr)
	}
	d := open(t, path)
	interrupted, err := d.Interrupted(t.Context())
	if err != nil || len(interrupted) != 1 || interrupted[0].ID != "a" {
		t.Errorf("interrupted: %v, %v", interrupted, err)
	}
	_, executions, err := d.LoadRun(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(executions) < 2*lines || len(executions)%2 != 0 || count(t, d, "events") != len(executions)/2 {
		t.Errorf("%d executions and %d events after %d commits", len(executions), count(t, d, "events"), lines)
	}
	var ok string
	if err := raw(t, path).QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Errorf("integrity: %s, %v", ok, err)
	}
}
