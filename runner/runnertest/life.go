package runnertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func testAnswers(t *testing.T, s *Subject) {
	ctx := context60(t)
	if err := s.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if s.Features().Name == "" {
		t.Error("it has no name")
	}
	c, err := s.Capacity(ctx)
	if err != nil || c.CPU < 1000 || c.Memory < 1<<26 || c.Pods < 1 {
		t.Errorf("Capacity: %+v, %v", c, err)
	}
	im, err := s.Resolve(ctx, s.Image, runner.ResolveOptions{})
	if err != nil || im.Ref == "" || im.Identity == "" || !strings.Contains(im.Platform, "/") {
		t.Errorf("Resolve: %+v, %v", im, err)
	}
	again, err := s.Resolve(ctx, im.Ref, runner.ResolveOptions{Policy: runner.PullNever})
	if err != nil || again.Identity != im.Identity {
		t.Errorf("Resolve of %s: %+v, %v", im.Ref, again, err)
	}
}

func testExitCodes(t *testing.T, s *Subject) {
	for _, code := range []int{0, 1, 42, 255} {
		before := time.Now().Add(-time.Second) // an engine may have a clock of its own
		p := s.pod(t, fmt.Sprintf("exit %d", code))
		exit, _ := s.run(t, p)
		want := runner.CauseError
		if code == 0 {
			want = runner.CauseCompleted
		}
		if exit.Code != code || exit.Cause != want || exit.OK() != (code == 0) || exit.Container != "main" {
			t.Errorf("exit %d: %+v", code, exit)
		}
		if exit.Started.Before(before) || exit.Ended.Before(exit.Started) {
			t.Errorf("times %v to %v, begun %v", exit.Started, exit.Ended, before)
		}
	}
}

func testSignal(t *testing.T, s *Subject) {
	exit, _ := s.run(t, s.pod(t, `sh -c 'kill -9 $$'; exit $?`))
	if exit.Code != 137 || exit.Cause != runner.CauseError {
		t.Errorf("%+v", exit)
	}
}

func testOOM(t *testing.T, s *Subject) {
	if !s.Features().Limits {
		return // not refused: the caller names once what is not enforced
	}
	const eat = `x=aaaaaaaa; while :; do x=$x$x; done`
	p := s.pod(t, eat)
	p.Containers[0].Resources.MemoryLimit = 32 << 20
	exit, _ := s.run(t, p)
	if exit.Cause != runner.CauseOOM || exit.Code == 0 || !strings.Contains(exit.Message, "32 MiB") {
		t.Errorf("%+v", exit)
	}
	p = s.pod(t, `sh -c '`+eat+`'; exit 0`)
	p.Containers[0].Resources.MemoryLimit = 32 << 20
	if exit, _ := s.run(t, p); exit.Cause != runner.CauseCompleted {
		t.Errorf("a child was killed for memory and the step ended well: %+v", exit)
	}
}

func testBadCommand(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	p.Containers[0].Command, p.Containers[0].Args = []string{"no-such-command"}, nil
	exit, _ := s.run(t, p)
	if exit.Cause != runner.CauseStart || exit.Code == 0 || !strings.Contains(exit.Message, "no-such-command") {
		t.Errorf("%+v", exit)
	}
	s.Reopen(t)
	if st := s.await(t, p.Name, runner.PhaseEnded); st.Exit.Cause != runner.CauseStart {
		t.Errorf("seen by another process: %+v", st)
	}
	s.start(t, p) // adopts what has ended
}

func testMissingImage(t *testing.T, s *Subject) {
	if !s.Features().Images {
		return
	}
	_, err := s.Resolve(context60(t), "wherry-test/no-such-image:1", runner.ResolveOptions{Policy: runner.PullNever})
	missing, ok := errors.AsType[*runner.ImageError](err)
	if !ok || missing.Image != "wherry-test/no-such-image:1" || missing.Hint() == "" {
		t.Errorf("Resolve: %v, want an *ImageError with a mend", err)
	}
	p := s.pod(t, "true")
	p.Containers[0].Image = "sha256:" + strings.Repeat("0", 64)
	if _, ok := errors.AsType[*runner.ImageError](s.Ensure(context60(t), []runner.Pod{p})); !ok {
		t.Errorf("Ensure: %v, want an *ImageError", err)
	}
}

func testStop(t *testing.T, s *Subject) {
	p := s.pod(t, `trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done`)
	s.start(t, p)
	s.awaitLine(t, p.Name, "ready")
	if err := s.Stop(context60(t), p.Name, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	sink := &Sink{}
	exit, err := s.Collect(context60(t), p, sink) // it has ended when Stop returns
	if err != nil || exit.Cause != runner.CauseStopped || exit.Code != 7 || !strings.Contains(sink.text(""), "bye") {
		t.Errorf("%+v, %v, %q", exit, err, sink.text(""))
	}
	s.Reopen(t)
	if st := s.await(t, p.Name, runner.PhaseEnded); st.Exit.Cause != runner.CauseStopped {
		t.Errorf("seen by another process: %+v", st)
	}
	for _, pod := range []string{p.Name, "never-was"} {
		if err := s.Stop(context60(t), pod, time.Second); err != nil {
			t.Errorf("Stop of %s: %v", pod, err)
		}
	}
	done := s.pod(t, "true")
	s.run(t, done)
	if err := s.Stop(context60(t), done.Name, time.Second); err != nil {
		t.Error(err)
	}
	if exit, _ := s.ended(t, done); !exit.OK() {
		t.Errorf("stopped after its end: %+v", exit)
	}
}

func testStopGrace(t *testing.T, s *Subject) {
	p := s.pod(t, `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	s.start(t, p)
	s.awaitLine(t, p.Name, "ready")
	start := time.Now()
	if err := s.Stop(context60(t), p.Name, time.Second); err != nil {
		t.Fatal(err)
	}
	exit, _ := s.ended(t, p)
	if took := time.Since(start); took < 900*time.Millisecond || took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	if exit.Cause != runner.CauseStopped || exit.Code != 137 {
		t.Errorf("%+v", exit)
	}
}

func testDeadline(t *testing.T, s *Subject) {
	p := s.pod(t, `trap 'exit 0' TERM; while :; do sleep 0.05; done`)
	p.Deadline = time.Second
	exit, _ := s.run(t, p)
	if exit.Cause != runner.CauseDeadline || exit.Ended.Sub(exit.Started) > 20*time.Second {
		t.Errorf("%+v", exit)
	}
	quick := s.pod(t, "exit 3")
	quick.Deadline = 30 * time.Second
	if exit, _ := s.run(t, quick); exit.Cause != runner.CauseError {
		t.Errorf("%+v", exit)
	}
}

func testDeadlineAfterReopen(t *testing.T, s *Subject) {
	p := s.pod(t, `trap 'exit 1' TERM; while :; do sleep 0.05; done`)
	p.Deadline = 2 * time.Second
	s.start(t, p)
	s.Reopen(t)
	s.start(t, p)
	exit, _ := s.ended(t, p)
	if took := exit.Ended.Sub(exit.Started); exit.Cause != runner.CauseDeadline || took < 1900*time.Millisecond {
		t.Errorf("after %v: %+v", took, exit)
	}
}

func testLost(t *testing.T, s *Subject) {
	p := s.pod(t, "true")
	if _, err := s.Collect(context60(t), p, &Sink{}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("Collect of a pod that never was: %v", err)
	}
	if err := lastError(s, t, p.Name); !errors.Is(err, runner.ErrLost) {
		t.Errorf("Logs of a pod that never was: %v", err)
	}
}

func lastError(s *Subject, t *testing.T, pod string) (last error) {
	for _, err := range s.Logs(context60(t), pod, runner.LogOptions{}) {
		last = err
	}
	return last
}

func testRemove(t *testing.T, s *Subject) {
	p := s.pod(t, "sleep 100")
	p = withScratch(p, s.path(p, "w"))
	s.start(t, p)
	for range 2 {
		if err := s.Remove(context60(t), p.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Collect(context60(t), p, &Sink{}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("Collect after Remove: %v", err)
	}
	s.start(t, p) // the name can be used again
	s.await(t, p.Name, runner.PhaseRunning)
}

func testAdoption(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	out := s.path(p, "out")
	p = withScratch(p, out)
	p.Containers[0].Args = []string{`echo one; echo start >> starts; while [ ! -f go ] && [ $((i+=1)) -lt 1000 ]; do sleep 0.02; done; sleep 1; echo two; exit 5`}
	p.Containers[0].WorkDir = out
	p.Outputs = []runner.Output{{Name: "starts", Path: out + "/starts"}}
	s.start(t, p)
	one := s.awaitLine(t, p.Name, "one")
	s.Reopen(t)
	s.start(t, p)
	if x, err := s.Exec(context60(t), p.Name, "main", runner.ExecSpec{Command: []string{"touch", out + "/go"}}); err != nil || x.Code != 0 {
		t.Fatalf("Exec: %+v, %v", x, err)
	}
	var rest []string
	for line, err := range s.Logs(context60(t), p.Name, runner.LogOptions{Since: one.Time, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		rest = append(rest, string(line.Text))
	}
	if len(rest) != 1 || rest[0] != "two" {
		t.Errorf("the log after the cursor: %q", rest)
	}
	exit, sink := s.ended(t, p)
	if exit.Code != 5 || sink.read(t, "starts") != "start\n" || sink.text("") != "one\ntwo\n" {
		t.Errorf("%+v, starts %q, log %q", exit, sink.read(t, "starts"), sink.text(""))
	}
	s.start(t, p)
	if _, sink := s.ended(t, p); sink.read(t, "starts") != "start\n" {
		t.Error("Ensure of an ended pod ran it again")
	}
}

func testCallerKilled(t *testing.T, s *Subject) {
	p := s.pod(t, `echo one; sleep 2; echo two; exit 9`)
	spec, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], Child, s.Dir, string(spec))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Errorf("the child says %q", line)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s.start(t, p)
	exit, sink := s.ended(t, p)
	if exit.Code != 9 || sink.text("") != "one\ntwo\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testEnsureAtOnce(t *testing.T, s *Subject) {
	p := s.pod(t, "echo start")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Ensure(context60(t), []runner.Pod{p}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, sink := s.ended(t, p); sink.text("") != "start\n" {
		t.Errorf("%q", sink.text(""))
	}
}

func testWatch(t *testing.T, s *Subject) {
	ctx := context60(t)
	old := s.pod(t, "exit 3")
	s.run(t, old)
	p := s.pod(t, "sleep 0.5; exit 4")
	var phases []runner.Phase
	sawOld, synced := false, false
	for st, err := range s.Watch(ctx) {
		switch {
		case err != nil:
			t.Fatal(err)
		case st.Synced:
			synced = true
			s.start(t, p)
		case st.Pod == old.Name:
			sawOld = sawOld || !synced && st.Phase == runner.PhaseEnded && st.Exit.Code == 3 && st.Labels[runner.LabelRun] == "r1"
		case st.Pod == p.Name:
			phases = append(phases, st.Phase)
		default:
			t.Errorf("a pod of somebody else: %+v", st)
		}
		if st.Pod != p.Name {
			continue
		}
		if st.Phase == runner.PhaseEnded {
			if st.Exit.Code != 4 || st.Exit.Cause != runner.CauseError {
				t.Errorf("%+v", st.Exit)
			}
			if err := s.Remove(ctx, p.Name); err != nil {
				t.Fatal(err)
			}
		}
		if st.Phase == runner.PhaseGone {
			break
		}
	}
	if !sawOld || !synced || len(phases) < 3 {
		t.Errorf("saw the old one %v, synced %v, phases %v", sawOld, synced, phases)
	}
}

func testFifty(t *testing.T, s *Subject) {
	const n = 50
	pods := make([]runner.Pod, n)
	ends := map[string]int{}
	for i := range pods {
		pods[i] = s.pod(t, fmt.Sprintf("echo %d; exit %d", i, i))
	}
	left := n
	var wg sync.WaitGroup
	defer wg.Wait()
	for st, err := range s.Watch(context60(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if st.Synced {
			for _, p := range pods {
				wg.Go(func() {
					if err := s.Ensure(context60(t), []runner.Pod{p}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		if st.Phase == runner.PhaseEnded {
			if _, twice := ends[st.Pod]; !twice {
				left--
			}
			ends[st.Pod] = st.Exit.Code
		}
		if left == 0 {
			break
		}
	}
	for i, p := range pods {
		code, ok := ends[p.Name]
		if !ok || code != i {
			t.Errorf("pod %d: ended %v with %d", i, ok, code)
		}
		sink := &Sink{}
		if _, err := s.Collect(context60(t), p, sink); err != nil || sink.text("") != fmt.Sprintf("%d\n", i) {
			t.Errorf("pod %d: %q, %v", i, sink.text(""), err)
		}
	}
}
