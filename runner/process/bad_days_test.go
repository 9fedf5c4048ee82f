package process

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wherry-ml/wherry/e2e/need"
	"github.com/wherry-ml/wherry/runner"
)

// A disk that is full by the end must not turn an exit into a lost pod.
func TestDiskFull(t *testing.T) {
	b := newBackendAt(t, need.Tmpfs(t, "size=2m"))
	p := onePod("full", "dd if=/dev/zero of="+b.cfg.Dir+"/fill bs=4k 2>/dev/null; i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 3")
	exit, c := run(t, b, p)
	if exit.Cause != runner.CauseError || exit.Code != 3 || !strings.Contains(exit.Message, "no space left") {
		t.Errorf("%+v, %d lines", exit, len(c.lines))
	}
	err := b.Ensure(withTimeout(t), []runner.Pod{onePod("late", "true")})
	if err == nil || !strings.Contains(err.Error(), "no space left") || b.pod("late").exists() {
		t.Errorf("start on a full disk: %v", err)
	}
}

// The caller's memory must not grow with the pods of a run.
func TestThousandPods(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: takes ten seconds")
	}
	b := newBackend(t)
	ctx := withTimeout(t)
	ended := map[string]chan runner.Exit{}
	for i := range 1000 {
		ended[fmt.Sprintf("p%d", i)] = make(chan runner.Exit, 1)
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		n := 0
		for s, err := range b.Watch(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			if s.Phase == runner.PhaseEnded {
				ended[s.Pod] <- s.Exit
				if n++; n == len(ended) {
					return
				}
			}
		}
	})
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(8)
	for name, end := range ended {
		g.Go(func() error {
			p := onePod(name, "echo hello")
			if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
				return err
			}
			<-end
			if e, err := b.Collect(ctx, p, &collected{}); err != nil || !e.OK() {
				return fmt.Errorf("%+v %w", e, err)
			}
			return nil // not removed: 1,000 are there in the end
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("1,000 pods, 8 at once: %v; resident %d MB, %d goroutines", time.Since(start), resident(t)>>20, runtime.NumGoroutine())
	if mem := resident(t); mem > 50<<20 && !raceEnabled {
		t.Errorf("resident memory is %d MB", mem>>20)
	}
}

// resident is the memory that this process has in use, in bytes; 0 where it can't be seen.
func resident(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestLongHome(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long folder ", 15))
	b := newBackendAt(t, dir)
	if exit, c := run(t, b, onePod("long", "echo hi")); !exit.OK() || c.text() != "main stdout hi\n" {
		t.Errorf("%+v %s", exit, c.text())
	}
}
