package artifact

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary, re-executed with these variables, is a process that stores
// something and may kill itself on the way.
const (
	childVerb  = "WHERRY_TEST_ARTIFACT_VERB" // add or snapshot
	childHome  = "WHERRY_TEST_ARTIFACT_HOME"
	childPath  = "WHERRY_TEST_ARTIFACT_PATH"
	childCrash = "WHERRY_TEST_ARTIFACT_CRASH" // the point at which it dies
)

func TestMain(m *testing.M) {
	if verb := os.Getenv(childVerb); verb != "" {
		if err := child(verb); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(verb string) error {
	s, err := Open(os.Getenv(childHome))
	if err != nil {
		return err
	}
	s.at = func(point string) {
		if point == os.Getenv(childCrash) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n') // start together
	var d string
	switch verb {
	case "add":
		d, _, err = s.Add(context.Background(), os.Getenv(childPath))
	case "snapshot":
		d, _, err = s.Snapshot(context.Background(), os.Getenv(childPath), SnapshotOptions{})
	}
	fmt.Println(d)
	return err
}

type process struct {
	*exec.Cmd
	out   *bufio.Reader
	begin func()
}

func start(t *testing.T, verb string, s *Store, path, crash string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVerb+"="+verb, childHome+"="+s.home, childPath+"="+path, childCrash+"="+crash)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	p := &process{Cmd: cmd, out: bufio.NewReader(out), begin: func() { in.Write([]byte("\n")) }}
	if line := p.line(); line != "ready" {
		t.Fatalf("child says %q", line)
	}
	return p
}

func (p *process) line() string {
	line, _ := p.out.ReadString('\n')
	return strings.TrimSpace(line)
}

// store does in this process what a child does.
func store(t *testing.T, verb string, s *Store, path string) string {
	t.Helper()
	if verb == "add" {
		return add(t, s, path)
	}
	d, _, err := s.Snapshot(t.Context(), path, SnapshotOptions{})
	must(t, err)
	must(t, s.Verify(t.Context(), d))
	return d
}

func outputs(t *testing.T, files int) map[string]string {
	t.Helper()
	out := map[string]string{}
	for i := range files {
		name := fmt.Sprintf("d%d/f%d", i%7, i)
		if i%5 == 0 {
			name += "*"
		}
		out[name] = strings.Repeat(fmt.Sprint(i, " "), 1+i*37%5000)
	}
	return out
}

// TestCrash kills a process at each point of an operation, and in between. Its
// work can be repeated and leaves nothing behind.
func TestCrash(t *testing.T) {
	points := map[string][]string{
		"add":      {"hashed", "staged", "synced", "renamed"},
		"snapshot": {"hashed", "staged", "synced", "shared", "renamed"},
	}
	for verb, points := range points {
		for _, kind := range []string{"tree", "file"} {
			for _, point := range points {
				t.Run(verb+"/"+kind+"/"+point, func(t *testing.T) {
					files := map[string]string{"f*": "alone"}
					if kind == "tree" {
						files = outputs(t, 60)
					}
					dir := tree(t, files) + suffix(kind)
					want := store(t, verb, open(t), tree(t, files)+suffix(kind))
					s := open(t)
					p := start(t, verb, s, dir, point)
					p.begin()
					if line := p.line(); line != "" {
						t.Fatalf("child was not killed, says %q", line)
					}
					p.Wait()
					after(t, verb, s.home, dir, want)
				})
			}
		}
	}
}

func suffix(kind string) string {
	if kind == "file" {
		return "/f"
	}
	return ""
}

// after is what the next process does.
func after(t *testing.T, verb, home, dir, want string) {
	t.Helper()
	s, err := Open(home)
	must(t, err)
	if got := store(t, verb, s, dir); got != want {
		t.Errorf("after the crash: %s, want %s", got, want)
	}
	must(t, os.RemoveAll(dir))
	must(t, s.Verify(t.Context(), want))
	s.sweep()
	noLitter(t, s)
}

func TestCrashAnywhere(t *testing.T) {
	for _, verb := range []string{"add", "snapshot"} {
		files := outputs(t, 200)
		want := store(t, verb, open(t), tree(t, files))
		for i := range 6 {
			s, dir := open(t), tree(t, files)
			p := start(t, verb, s, dir, "")
			p.begin()
			time.Sleep(rand.N(60 * time.Millisecond))
			p.Process.Kill()
			p.Wait()
			after(t, verb, s.home, dir, want)
			if t.Failed() {
				t.Fatalf("%s, try %d", verb, i)
			}
		}
	}
}

// TestTwoProcesses has four of them store the same data at once.
func TestTwoProcesses(t *testing.T) {
	for _, verb := range []string{"add", "snapshot"} {
		t.Run(verb, func(t *testing.T) {
			files := outputs(t, 300)
			want := store(t, verb, open(t), tree(t, files))
			for range 3 {
				s, dir := open(t), tree(t, files)
				var all []*process
				for range 4 {
					all = append(all, start(t, verb, s, dir, ""))
				}
				for _, p := range all {
					p.begin()
				}
				for _, p := range all {
					if got := p.line(); got != want {
						t.Errorf("child says %q, want %s", got, want)
					}
					if err := p.Wait(); err != nil {
						t.Error(err)
					}
				}
				must(t, s.Verify(t.Context(), want))
				noLitter(t, s)
			}
		})
	}
}
