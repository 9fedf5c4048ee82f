package runnertest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// peek reads the files at a path of a pod.
func (s *Subject) peek(ctx context.Context, p runner.Pod, container, path string) (map[string]string, error) {
	files := map[string]string{}
	err := s.Backend.(runner.Peeker).Peek(ctx, p.Name, container, path, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		files[name] = string(data)
		return err
	})
	return files, err
}

// testPeek reads what a running container has written so far.
func testPeek(t *testing.T, s *Subject) {
	p := s.pod(t, `echo one > m.log; mkdir -p deep/er; echo two > deep/er/x; ln -s m.log link; echo ready; while [ ! -e go ]; do sleep 0.05; done; echo three >> m.log; echo more; sleep 100`)
	at := s.path(p, "w")
	p = withScratch(p, at)
	p.Containers[0].WorkDir = at
	s.start(t, p)
	s.awaitLine(t, p.Name, "ready")
	ctx := context60(t)
	peeker := s.Backend.(runner.Peeker)

	files, err := s.peek(ctx, p, "", at)
	if err != nil || files["m.log"] != "one\n" || files["deep/er/x"] != "two\n" || files["link"] != "" {
		t.Errorf("%q, %v", files, err)
	}
	if files, err := s.peek(ctx, p, "main", at+"/link"); err != nil || len(files) != 1 || files[""] != "one\n" {
		t.Errorf("through a link: %q, %v", files, err)
	}
	before, err := peeker.PeekAt(ctx, p.Name, "", at+"/m.log")
	if err != nil || before.Size() != 4 || before.IsDir() {
		t.Fatalf("%v, %v", before, err)
	}
	if _, err := s.peek(ctx, p, "", at+"/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of what is not there: %v", err)
	}
	if _, err := peeker.PeekAt(ctx, p.Name, "", at+"/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of what is not there: %v", err)
	}
	if _, err := s.Exec(ctx, p.Name, "", runner.ExecSpec{Command: []string{"sh", "-c", "touch " + at + "/go"}}); err != nil {
		t.Fatal(err)
	}
	s.awaitLine(t, p.Name, "more")
	if after, err := peeker.PeekAt(ctx, p.Name, "", at+"/m.log"); err != nil || after.Size() != 10 {
		t.Errorf("after more was written: %v, %v", after, err)
	}
	s.Reopen(t) // another process sees the same
	if files, err := s.peek(ctx, p, "", at+"/m.log"); err != nil || files[""] != "one\nthree\n" {
		t.Errorf("%q, %v", files, err)
	}
	gone := p
	gone.Name += "-gone"
	if _, err := s.peek(ctx, gone, "", at); !errors.Is(err, runner.ErrLost) {
		t.Errorf("of a pod that is not there: %v", err)
	}
}

// testPeekImage reads a file of a container's own file system.
func testPeekImage(t *testing.T, s *Subject) {
	if !s.Features().Isolation {
		p := s.pod(t, "echo ready; sleep 100")
		s.start(t, p)
		s.awaitLine(t, p.Name, "ready")
		if _, err := s.peek(context60(t), p, "", "/etc/passwd"); !unsupported(err) {
			t.Errorf("a file of this machine: %v", err)
		}
		return
	}
	other := s.sh("other", "mkdir -p /var/metrics; echo second > /var/metrics/m; echo ready; sleep 100")
	p := s.podOf(t, s.sh("main", "mkdir -p /var/metrics; echo first > /var/metrics/m; sleep 100"), other)
	s.start(t, p)
	s.awaitLine(t, p.Name, "ready")
	for name, want := range map[string]string{"other": "second\n", "main": "first\n"} {
		if files, err := s.peek(context60(t), p, name, "/var/metrics/m"); err != nil || files[""] != want {
			t.Errorf("%s: %q, %v", name, files, err)
		}
	}
}

func unsupported(err error) bool {
	_, ok := errors.AsType[*runner.UnsupportedError](err)
	return ok
}

// testFailFast has a main container's failure end the others, and be the pod's.
func testFailFast(t *testing.T, s *Subject) {
	p := s.podOf(t, s.sh("waits", `trap 'echo stopped; exit 0' TERM; echo up; while :; do sleep 0.05; done`), s.sh("fails", "sleep 0.5; echo no; exit 7"))
	p.FailFast = true
	start := time.Now()
	exit, sink := s.run(t, p)
	if exit.Cause != runner.CauseError || exit.Code != 7 || exit.Container != "fails" {
		t.Errorf("%+v", exit)
	}
	if got := sink.text(""); !strings.Contains(got, "no\n") || !strings.Contains(got, "stopped\n") {
		t.Errorf("%q", got)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	p = s.podOf(t, s.sh("first", "echo done"), s.sh("second", "sleep 0.5; echo done too"))
	p.FailFast = true
	if exit, sink := s.run(t, p); !exit.OK() || !strings.Contains(sink.text(""), "done too\n") {
		t.Errorf("two that end well: %+v, %q", exit, sink.text(""))
	}
}

// testOutputOfContainer takes an output from another container than the first.
func testOutputOfContainer(t *testing.T, s *Subject) {
	if !s.Features().Isolation {
		return // there is one file system
	}
	p := s.podOf(t, s.sh("first", "echo first > /out"), s.sh("second", "echo second > /out"))
	p.Outputs = []runner.Output{{Name: "out", Path: "/out", Container: "second"}}
	if exit, sink := s.run(t, p); !exit.OK() || sink.read(t, "out") != "second\n" {
		t.Errorf("%+v, %q", exit, sink.read(t, "out"))
	}
}
