package runnertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func testInit(t *testing.T, s *Subject) {
	first, second, main := s.sh("first", "sleep 0.3; echo 1 >> log; echo from first"), s.sh("second", "echo 2 >> log"), s.sh("main", "echo main >> log; cat log")
	first.Role, second.Role = runner.Init, runner.Init
	p := s.podOf(t, first, second, main)
	at := s.path(p, "w")
	p = withScratch(p, at)
	for i := range p.Containers {
		p.Containers[i].WorkDir = at
	}
	p.Outputs = []runner.Output{{Name: "log", Path: at + "/log"}}
	exit, sink := s.run(t, p)
	if !exit.OK() || exit.Container != "main" || sink.read(t, "log") != "1\n2\nmain\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
	from := map[string]string{}
	for _, l := range sink.Lines {
		from[l.Container] += string(l.Text) + "\n"
	}
	if from["first"] != "from first\n" || from["main"] != "1\n2\nmain\n" {
		t.Errorf("%q", from)
	}
}

func testInitFails(t *testing.T, s *Subject) {
	bad, never := s.sh("bad", "echo no; exit 6"), s.sh("main", "echo ran")
	bad.Role = runner.Init
	exit, sink := s.run(t, s.podOf(t, bad, never))
	if exit.Cause != runner.CauseError || exit.Code != 6 || exit.Container != "bad" || strings.Contains(sink.text(""), "ran") {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testSidecar(t *testing.T, s *Subject) {
	main, side := s.sh("main", "sleep 0.5; echo done"), s.sh("side", `trap 'echo bye; exit 1' TERM; echo up; while :; do sleep 0.05; done`)
	side.Role = runner.Sidecar
	p := s.podOf(t, main, side)
	p.Grace = 20 * time.Second
	exit, sink := s.run(t, p)
	if !exit.OK() || exit.Container != "main" {
		t.Errorf("%+v", exit)
	}
	if got := sink.text(""); !strings.Contains(got, "up\n") || !strings.Contains(got, "done\nbye\n") {
		t.Errorf("%q", got)
	}
	failing := s.sh("side", "exit 1")
	failing.Role = runner.Sidecar
	if exit, _ := s.run(t, s.podOf(t, failing, s.sh("main", "sleep 0.3"))); !exit.OK() {
		t.Errorf("a sidecar that fails: %+v", exit)
	}
}

// ordered is a pod of three steps over a shared volume.
func (s *Subject) ordered(t *testing.T, scripts ...string) runner.Pod {
	var cs []runner.Container
	for i, script := range scripts {
		c := s.sh(fmt.Sprintf("step-%d", i), script)
		if i > 0 {
			c.After = []string{fmt.Sprintf("step-%d", i-1)}
		}
		cs = append(cs, c)
	}
	p := s.podOf(t, cs...)
	at := s.path(p, "ws")
	p = withScratch(p, at)
	for i := range p.Containers {
		p.Containers[i].WorkDir = at
	}
	p.Outputs = []runner.Output{{Name: "log", Path: at + "/log"}}
	return p
}

func testOrdered(t *testing.T, s *Subject) {
	p := s.ordered(t, "sleep 0.2; echo a >> log", "cat log; echo b >> log", "cat log; echo c >> log")
	exit, sink := s.run(t, p)
	if !exit.OK() || exit.Container != "step-2" || sink.read(t, "log") != "a\nb\nc\n" || sink.text("") != "a\na\nb\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
	if exit.Ended.Sub(exit.Started) < 150*time.Millisecond {
		t.Errorf("%v to %v is not all of it", exit.Started, exit.Ended)
	}
}

func testOrderedFails(t *testing.T, s *Subject) {
	p := s.ordered(t, "echo a >> log", "echo b >> log; exit 8", "echo c >> log")
	exit, sink := s.run(t, p)
	if exit.Cause != runner.CauseError || exit.Code != 8 || exit.Container != "step-1" || sink.read(t, "log") != "a\nb\n" {
		t.Errorf("%+v, %q", exit, sink.read(t, "log"))
	}
	bad := s.ordered(t, "true", "true", "echo ran")
	bad.Containers[1].Command, bad.Containers[1].Args = []string{"no-such-command"}, nil
	exit, sink = s.run(t, bad)
	if exit.Cause != runner.CauseStart || exit.Container != "step-1" || strings.Contains(sink.text(""), "ran") {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testOrderedReopen(t *testing.T, s *Subject) {
	p := s.ordered(t, "echo a >> log; sleep 1.5", "echo b >> log; sleep 1", "echo c >> log")
	s.start(t, p)
	s.Reopen(t)
	time.Sleep(200 * time.Millisecond)
	s.start(t, p)
	exit, sink := s.ended(t, p)
	if !exit.OK() || sink.read(t, "log") != "a\nb\nc\n" {
		t.Errorf("%+v, %q", exit, sink.read(t, "log"))
	}
}

func testStopOrdered(t *testing.T, s *Subject) {
	p := s.ordered(t, "echo a; echo a >> log; exec sleep 100", "echo b >> log", "echo c >> log")
	s.start(t, p)
	s.awaitLine(t, p.Name, "a")
	if err := s.Stop(context60(t), p.Name, 0); err != nil {
		t.Fatal(err)
	}
	exit, sink := s.ended(t, p)
	if exit.Cause != runner.CauseStopped || sink.read(t, "log") != "a\n" {
		t.Errorf("%+v, %q", exit, sink.read(t, "log"))
	}
	late := s.ordered(t, "trap 'exit 0' TERM; while :; do sleep 0.05; done", "echo b", "echo c")
	late.Deadline = time.Second
	exit, sink = s.run(t, late)
	if exit.Cause != runner.CauseDeadline || sink.text("") != "" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testGang(t *testing.T, s *Subject) {
	server := s.pod(t, `while :; do echo hello | nc -l -p 8000; done`)
	client := s.pod(t, `for i in 1 2 3 4 5 6 7 8 9 10; do x=$(nc -w 2 server 8000) && [ -n "$x" ] && break; sleep 0.2; done; echo "got $x"; hostname`)
	server.Network = runner.Network{Gang: "g1", Hostname: "server"}
	client.Network = runner.Network{Gang: "g1", Hostname: "client"}
	if !s.Features().Networks {
		s.refused(t, server)
		return
	}
	s.start(t, server, client)
	exit, sink := s.ended(t, client)
	if !exit.OK() || sink.text(runner.Stdout) != "got hello\nclient\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
	if err := s.Stop(context60(t), server.Name, 0); err != nil {
		t.Error(err)
	}
}

func testGangAllOrNone(t *testing.T, s *Subject) {
	good, bad := s.pod(t, "sleep 100"), s.pod(t, "true")
	bad.Containers[0].Mounts = []runner.Mount{{Volume: "no-such-volume", Path: s.path(bad, "x")}}
	if err := s.Ensure(context60(t), []runner.Pod{good, bad}); err == nil {
		t.Fatal("no error")
	}
	if _, err := s.Collect(context60(t), good, &Sink{}); !errors.Is(err, runner.ErrLost) {
		t.Errorf("the other pod of the gang is there: %v", err)
	}
	bad = s.pod(t, "true")
	bad.Containers[0].Command, bad.Containers[0].Args = []string{"no-such-command"}, nil
	s.start(t, good, bad)
	if exit, _ := s.ended(t, good); exit.Cause != runner.CauseStopped {
		t.Errorf("the other pod of the gang: %+v", exit)
	}
}

func testNetworkNone(t *testing.T, s *Subject) {
	p := s.pod(t, "ls /sys/class/net")
	p.Network.Mode = runner.NetworkNone
	if !s.Features().Networks {
		s.refused(t, p)
		return
	}
	if _, sink := s.run(t, p); strings.Contains(sink.text(""), "eth") || !strings.Contains(sink.text(""), "lo") {
		t.Errorf("%q", sink.text(""))
	}
}

func testDial(t *testing.T, s *Subject) {
	if !s.Features().Networks {
		return // its ports are this machine's
	}
	p := s.pod(t, `while :; do echo hello | nc -l -p 8000; done`)
	p.Network.Ports = []int{8000}
	s.start(t, p)
	var got []byte
	for range 50 {
		if conn, err := s.Dial(context60(t), p.Name, 8000); err == nil {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			got, _ = io.ReadAll(io.LimitReader(conn, 6))
			conn.Close()
			if len(got) > 0 {
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	if string(got) != "hello\n" {
		t.Errorf("%q", got)
	}
}

func testExec(t *testing.T, s *Subject) {
	p := s.pod(t, "echo ready; sleep 100")
	p.Containers[0].Env = []runner.EnvVar{{Name: "FROM_POD", Value: "1"}}
	s.start(t, p)
	s.awaitLine(t, p.Name, "ready")
	var out, errs bytes.Buffer
	exit, err := s.Exec(context60(t), p.Name, "", runner.ExecSpec{
		Command: []string{"sh", "-c", `cat; echo "$FROM_POD$X"; echo err >&2; exit 3`},
		Env:     []runner.EnvVar{{Name: "X", Value: "2"}},
		Stdin:   strings.NewReader("in\n"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || exit.Code != 3 || exit.Cause != runner.CauseError || out.String() != "in\n12\n" || errs.String() != "err\n" {
		t.Errorf("%+v, %v, %q, %q", exit, err, out.String(), errs.String())
	}
	if _, err := s.Exec(context60(t), p.Name, "nobody", runner.ExecSpec{Command: []string{"true"}}); err == nil {
		t.Error("a container that is not there")
	}
}
