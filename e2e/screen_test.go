package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// session is wherry on a terminal of its own.
type session struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File
	over chan struct{} // closed once all that it wrote was read

	mu   sync.Mutex
	term *harness.Terminal
}

// onTerminal starts wherry in dir on a new terminal of 80 × 24. Its stdout goes to a
// file, if one is given.
func onTerminal(t *testing.T, dir string, stdout *os.File, env []string, args ...string) *session {
	t.Helper()
	s := &session{t: t, over: make(chan struct{}), term: harness.NewTerminal(80, 24)}
	home := filepath.Join(dir, "home")
	s.cmd = exec.Command(filepath.Join(binDir, "wherry"), args...)
	s.cmd.Dir = dir
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "WHERRY_HOME=" + home, "TERM=xterm-256color", "LC_ALL=C.UTF-8"}, env...)
	if stdout != nil {
		s.cmd.Stdout = stdout
	}
	var err error
	if s.pty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.over
		s.pty.Close()
		harness.CleanUp(home)
	})
	return s
}

func (s *session) read() {
	defer close(s.over)
	buf := make([]byte, 64<<10)
	for {
		n, err := s.pty.Read(buf)
		s.mu.Lock()
		_, _ = s.term.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return // it has no process any more
		}
	}
}

// look calls f with the terminal as it is now.
func (s *session) look(f func(*harness.Terminal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.term)
}

// sees waits until the screen matches.
func (s *session) sees(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	s.until("the screen has "+pattern, func(term *harness.Terminal) bool { return re.MatchString(term.Screen()) })
}

func (s *session) until(what string, is func(*harness.Terminal) bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		ok, screen := false, ""
		s.look(func(term *harness.Terminal) { ok, screen = is(term), term.Text() })
		if ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("not in %s: %s\n%s", patience, what, screen)
		}
	}
}

// resize changes the window's size between two frames.
func (s *session) resize(width, height int) {
	s.t.Helper()
	before := 0
	s.look(func(term *harness.Terminal) { before = term.Redraws })
	s.until("it redraws", func(term *harness.Terminal) bool {
		if term.Redraws == before {
			return false
		}
		term.Resize(width, height)
		if err := pty.Setsize(s.pty, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
			s.t.Error(err)
		}
		return true
	})
}

// exits waits for the end and returns all that can be seen then.
func (s *session) exits(code int) string {
	s.t.Helper()
	select {
	case <-s.over:
	case <-time.After(patience):
		s.t.Fatalf("it has not ended in %s:\n%s", patience, s.term.Text())
	}
	err := s.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.t.Fatal(err)
	} else if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d (%v), want %d", got, e, code)
	}
	s.look(func(term *harness.Terminal) {
		if len(term.Unknown) > 0 {
			s.t.Errorf("sequences that not every terminal knows: %v", term.Unknown)
		}
		for mode, on := range term.Modes {
			if on != (mode == 7) { // autowrap is on at first
				s.t.Errorf("mode %d was left changed", mode)
			}
		}
	})
	return s.term.Text()
}

// writeScreened makes the pipeline in dir: load, then train, which waits for the file go.
func writeScreened(t *testing.T, dir string) (goFile string) {
	t.Helper()
	goFile = filepath.Join(dir, "go")
	text := fmt.Sprintf(`apiVersion: kubeflow.org/v1
kind: Pipeline
metadata: {name: screened}
spec:
  pipelineSpec:
    workflowSpec:
      entrypoint: main
      templates:
      - name: main
        dag:
          tasks:
          - {name: load, template: load}
          - {name: train, template: train, dependencies: [load]}
          - {name: report, template: load, dependencies: [train]}
      - name: load
        container: {image: any, command: [sh, -c, "echo loaded"]}
      - name: train
        container: {image: any, command: [sh, -c, "echo epoch 1; while [ ! -e %s ]; do sleep 0.05; done; echo epoch 2"]}
`, goFile)
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return goFile
}

// On a terminal the run is a tree with the tail of what runs. The window's size may
// change; in the end the summary stands where the tree was.
func TestScreenTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	goFile := writeScreened(t, dir)
	s := onTerminal(t, dir, nil, nil, "run", "pipeline.yaml", "--backend", "process", "--name", "a-run")
	s.sees(`▸ a-run  1/3  \d+s  1 running  \(run \w+\)\n  ✓ load +\d\.\ds\n  ▸ train +\d+s\n    │ epoch 1\n  · report\n$`)
	for _, size := range [][2]int{{30, 24}, {120, 30}, {50, 10}, {80, 24}} {
		s.resize(size[0], size[1])
		s.sees(`  ▸ train +\d+s\n    │ epoch 1\n  · report\n$`)
		s.look(func(term *harness.Terminal) {
			for _, once := range []string{"▸ a-run", "▸ train"} {
				if n := strings.Count(term.Text(), once); n != 1 {
					t.Errorf("at %v %q is there %d times:\n%s", size, once, n, term.Text())
				}
			}
		})
	}
	if err := os.WriteFile(goFile, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	text := s.exits(0)
	for _, want := range []string{`(?m)^screened  SUCCEEDED  in .*\(run \w+\)$`, `(?m)^3 tasks: 3 ran$`, `(?m)^train +SUCCEEDED`} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("nothing matches %s", want)
		}
	}
	if strings.ContainsAny(text, "▸│") {
		t.Error("a piece of the tree was left")
	}
	if s.term.Redraws < 5 {
		t.Errorf("redrawn %d times only", s.term.Redraws)
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Where the summary goes elsewhere, the tree stays as it was last, and the result is
// clean.
func TestScreenDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	goFile := writeScreened(t, dir)
	out, err := os.Create(filepath.Join(dir, "out.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := onTerminal(t, dir, out, nil, "run", "pipeline.yaml", "--backend", "process", "--name", "a-run", "-o", "json")
	s.sees(`▸ train +\d+s`)
	if err := os.WriteFile(goFile, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := `^✓ a-run  3/3  SUCCEEDED in \S+  \(run \w+\)\n  ✓ load +\S+s\n  ✓ train +\S+s\n  ✓ report +\S+s\n$`
	if text := s.exits(0); !regexp.MustCompile(want).MatchString(text) {
		t.Errorf("the terminal shows:\n%swant %s", text, want)
	}
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(data) {
		t.Errorf("stdout is no JSON document:\n%s", data)
	}
}

// Ctrl-C cancels the run as ever, and the terminal is what it was before.
func TestScreenInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeScreened(t, dir)
	s := onTerminal(t, dir, nil, nil, "run", "pipeline.yaml", "--backend", "process", "--name", "a-run")
	s.sees(`│ epoch 1`)
	before, err := unix.IoctlGetTermios(int(s.pty.Fd()), termiosRequest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pty.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	text := s.exits(130)
	for _, want := range []string{"canceling: waiting for running steps to stop", "screened  CANCELED", "wherry: run a-run was canceled"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(text, "│") {
		t.Error("a piece of the tree was left")
	}
	if after, err := unix.IoctlGetTermios(int(s.pty.Fd()), termiosRequest); err != nil || *after != *before {
		t.Errorf("the terminal's settings were %+v, are %+v (%v)", before, after, err)
	}
	if t.Failed() {
		t.Log(text)
	}
}

// A terminal that only records, or can't redraw, gets a line for each event.
func TestScreenPlain(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"CI=true", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(writeScreened(t, dir), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			s := onTerminal(t, dir, nil, []string{env}, "run", "pipeline.yaml", "--backend", "process", "--name", "a-run")
			text := s.exits(0)
			if !regexp.MustCompile(`(?m)^ +\d+\.\ds 1/3 ✓ load: done in`).MatchString(text) || s.term.Redraws > 0 {
				t.Errorf("redrawn %d times:\n%s", s.term.Redraws, text)
			}
		})
	}
}
