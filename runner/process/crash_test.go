package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestAdoption(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	p := onePod("adopted", "echo start >> "+filepath.Join(b.cfg.Dir, "starts")+"; echo ready; sleep 0.3; echo $TOKEN | cut -c1-3")
	p.Containers[0].Env = []runner.EnvVar{{Name: "TOKEN", Value: "hunter2-hunter2", Secret: true}}
	// Two backends, as two processes would, and each twice.
	other := newBackendAt(t, b.cfg.Dir)
	var wg sync.WaitGroup
	for _, x := range []*Backend{b, other, b, other} {
		wg.Go(func() {
			if err := x.Ensure(ctx, []runner.Pod{p}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	awaitLine(t, other, "adopted", "ready")
	exit, c := finish(t, other, p)
	if err := other.Ensure(ctx, []runner.Pod{p}); err != nil {
		t.Errorf("ensure an ended pod: %v", err)
	}
	starts, _ := os.ReadFile(filepath.Join(b.cfg.Dir, "starts"))
	if !exit.OK() || string(starts) != "start\n" || !strings.Contains(c.text(), "hun") {
		t.Errorf("exit %+v, starts %q\n%s", exit, starts, c.text())
	}
	_ = filepath.Walk(string(b.pod("adopted")), func(path string, info os.FileInfo, err error) error {
		if data, _ := os.ReadFile(path); strings.Contains(string(data), "hunter2-hunter2") {
			t.Errorf("the secret is in %s", path)
		}
		return nil
	})
}

// startAndDie starts a pod in the home dir and is killed like wherry by kill -9.
func startAndDie(dir string) {
	b, err := openAt(dir)
	if err == nil {
		err = b.Ensure(context.Background(), []runner.Pod{orphan})
	}
	if err != nil {
		panic(err)
	}
	_ = syscall.Kill(-os.Getpid(), syscall.SIGKILL) // its whole process group
	select {}
}

var orphan = onePod("orphan", "echo before; sleep 0.5; echo after; exit 5")

func TestCallerKilled(t *testing.T) {
	b := newBackend(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "start-and-die", b.cfg.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
	if st, err := b.pod("orphan").look(); err != nil || st.phase != runner.PhaseRunning {
		t.Fatalf("%+v %v", st, err)
	}
	exit, c := run(t, b, orphan)
	if exit.Code != 5 || c.text() != "main stdout before\nmain stdout after\n" {
		t.Errorf("%+v\n%s", exit, c.text())
	}
}

func TestCrashBeforeTheSupervisorStarts(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	p := onePod("early", "echo hello")
	pl, err := b.plan(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.makeDirs(); err != nil {
		t.Fatal(err)
	}
	if made, err := b.prepare(ctx, pl, b.pod("early")); err != nil || !made {
		t.Fatal(made, err)
	}
	if st, err := b.pod("early").look(); err != nil || st.phase != runner.PhaseCreated {
		t.Fatalf("%+v, %v", st, err)
	}
	if exit, c := run(t, b, p); !exit.OK() || c.text() != "main stdout hello\n" {
		t.Errorf("exit %+v\n%s", exit, c.text())
	}
}

func TestSupervisorKilled(t *testing.T) {
	b := newBackend(t)
	ctx, cancel := context.WithCancel(withTimeout(t))
	defer cancel()
	p := onePod("killed", "sh -c 'sleep 97; true' & setsid sleep 96 & echo ready; sleep 98; true")
	if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, b, "killed", "ready")
	sup, err := readProcess(b.pod("killed").pid())
	if err != nil || !sup.alive() {
		t.Fatal(sup, err)
	}
	other := newBackendAt(t, b.cfg.Dir) // didn't start it, so no pipe tells it of the end
	for s, err := range other.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Synced {
			_ = syscall.Kill(sup.pid, syscall.SIGKILL)
		}
		if s.Phase == runner.PhaseGone {
			if s.Exit.Cause != runner.CauseLost || s.Labels[runner.LabelPod] != "killed" {
				t.Errorf("%+v", s)
			}
			break
		}
	}
	for try := 0; marked(t, b, "killed") > 0; try++ {
		if try == 100 {
			t.Fatal("processes of a lost pod go on")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := b.Collect(ctx, p, &collected{}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("collect: %v", err)
	}
	if _, err := b.Collect(ctx, onePod("never-was", ""), &collected{}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("collect a pod that never was: %v", err)
	}
}

func TestWatch(t *testing.T) {
	b := newBackend(t)
	ctx, cancel := context.WithCancel(withTimeout(t))
	defer cancel()
	run(t, b, onePod("before", "true"))
	seen := map[string][]runner.Phase{}
	synced := false
	for s, err := range b.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Synced {
			if fmt.Sprint(seen) != "map[before:[ended]]" {
				t.Errorf("before Synced: %v", seen)
			}
			synced = true
			go func() {
				_ = b.Ensure(ctx, []runner.Pod{onePod("after", "sleep 0.05; exit 9")})
			}()
			continue
		}
		seen[s.Pod] = append(seen[s.Pod], s.Phase)
		switch {
		case s.Pod == "after" && s.Phase == runner.PhaseEnded:
			if s.Exit.Code != 9 || s.Labels[runner.LabelPod] != "after" {
				t.Errorf("%+v", s)
			}
			t.Logf("seen %v after the end", time.Since(s.Exit.Ended))
			go func() { _ = b.Remove(ctx, "after") }()
		case s.Pod == "after" && s.Phase == runner.PhaseGone:
			cancel()
		}
	}
	if !synced {
		t.Error("no Synced")
	}
}

func TestGangIsAllOrNone(t *testing.T) {
	b := newBackend(t)
	bad := onePod("bad", "true")
	bad.Network.Mode = runner.NetworkNone
	err := b.Ensure(withTimeout(t), []runner.Pod{onePod("good", "sleep 99"), bad})
	var no *runner.UnsupportedError
	if !errors.As(err, &no) || no.Field != "network: none" || b.pod("good").exists() {
		t.Errorf("%v; good started: %v", err, b.pod("good").exists())
	}
	// One whose place is taken fails late, when the other may have started.
	bad = onePod("bad", "true")
	at := filepath.Join(b.cfg.Dir, "runs", "x")
	if err := os.MkdirAll(filepath.Join(at, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	bad.Volumes = []runner.Volume{{Name: "v", Scratch: true}}
	bad.Containers[0].Mounts = []runner.Mount{{Volume: "v", Path: at}}
	err = b.Ensure(withTimeout(t), []runner.Pod{onePod("good", "sleep 99"), bad})
	if err == nil || b.pod("good").exists() || b.pod("bad").exists() {
		t.Errorf("%v; good: %v bad: %v", err, b.pod("good").exists(), b.pod("bad").exists())
	}
}

func TestFiftyAtOnce(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			p := onePod(fmt.Sprintf("p%d", i), fmt.Sprintf("echo %d; exit %d", i, i))
			if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
				t.Error(err)
				return
			}
			if exit, c := finish(t, b, p); exit.Code != i || c.text() != fmt.Sprintf("main stdout %d\n", i) {
				t.Errorf("%+v %s", exit, c.text())
			}
			if err := b.Remove(ctx, p.Name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("50 pods in %v", time.Since(start))
	if left, _ := os.ReadDir(b.work()); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func BenchmarkPod(b *testing.B) {
	be := newBackend(b)
	ctx := withTimeout(b)
	ended := make(chan runner.Exit, 1)
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for s := range be.Watch(watch) {
			if s.Phase == runner.PhaseEnded {
				ended <- s.Exit
			}
		}
	}()
	var start, latency time.Duration
	n := 0
	for b.Loop() {
		p := onePod(fmt.Sprintf("bench%d", n), "true")
		began := time.Now()
		if err := be.Ensure(ctx, []runner.Pod{p}); err != nil {
			b.Fatal(err)
		}
		e := <-ended
		start += e.Started.Sub(began)
		latency += time.Since(e.Ended)
		if _, err := be.Collect(ctx, p, &collected{}); err != nil {
			b.Fatal(err)
		}
		if err := be.Remove(ctx, p.Name); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(start.Microseconds())/float64(n)/1000, "ms-to-start")
	b.ReportMetric(float64(latency.Microseconds())/float64(n)/1000, "ms-end-to-event")
}

// A pod that is just being started must never look lost: its processes would be
// killed.
func TestLookWhileStarting(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	for i := range 40 {
		p := onePod(fmt.Sprintf("look%d", i), "true")
		d := b.pod(p.Name)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if st, err := d.look(); err != nil || strings.Contains(st.exit.Message, "died") {
						t.Errorf("%s: %+v %v", p.Name, st, err)
						return
					}
				}
			})
		}
		exit, _ := run(t, b, p)
		close(stop)
		wg.Wait()
		if !exit.OK() {
			t.Errorf("%+v", exit)
		}
		if err := b.Remove(ctx, p.Name); err != nil {
			t.Fatal(err)
		}
	}
}
