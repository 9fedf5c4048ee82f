package runnertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// Subject is what the suite tests: a backend over a home of its own.
type Subject struct {
	Home  string // value of runner.LabelHome
	Dir   string // WHERRY_HOME; mounts are asked for under Dir/runs
	Store Store  // what the backend reads from
	Image string // has sh and the usual small tools
	User  string // another user than the image's own, "65534" say; empty: not tested

	// Open returns a new backend over the same home, as a new process would.
	Open func() (runner.Backend, error)

	runner.Backend // the one in use
}

// Reopen puts a new backend in the place of the one in use, as after the death
// of its process.
func (s *Subject) Reopen(t *testing.T) {
	t.Helper()
	if c, ok := s.Backend.(interface{ Close() error }); ok {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.Backend = b
}

// Store is an artifact store: a directory, whose digests name its entries.
type Store string

// Path returns where the object of a digest lies.
func (s Store) Path(digest string) (string, error) {
	p := filepath.Join(string(s), strings.TrimPrefix(digest, "sha256:"))
	_, err := os.Lstat(p)
	return p, err
}

// File puts a file and returns its digest.
func (s Store) File(t testing.TB, content string) string {
	t.Helper()
	sum := sha256.Sum256([]byte("file:" + content))
	id := hex.EncodeToString(sum[:])
	write(t, filepath.Join(string(s), id), content)
	return "sha256:" + id
}

// Tree puts a directory and returns its digest.
func (s Store) Tree(t testing.TB, files map[string]string) string {
	t.Helper()
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %q\n", name, files[name])
	}
	id := hex.EncodeToString(h.Sum(nil))
	for name, content := range files {
		write(t, filepath.Join(string(s), id, name), content)
	}
	return "sha256:" + id
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var count atomic.Int64

// pod returns a pod of one container that runs a shell script. It is removed
// when the test ends.
func (s *Subject) pod(t *testing.T, script string) runner.Pod {
	t.Helper()
	return s.podOf(t, s.sh("main", script))
}

func (s *Subject) podOf(t *testing.T, containers ...runner.Container) runner.Pod {
	t.Helper()
	n := count.Add(1)
	name := runner.PodName(s.Home, "r1", n, 1)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Remove(ctx, name); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
	})
	return runner.Pod{
		Name: name, Grace: time.Second, Containers: containers,
		Labels: map[string]string{
			runner.LabelHome: s.Home, runner.LabelPod: name, runner.LabelRun: "r1",
			runner.LabelExecution: fmt.Sprint(n), runner.LabelAttempt: "1",
		},
	}
}

// sh is a main container that runs a shell script.
func (s *Subject) sh(name, script string) runner.Container {
	return runner.Container{Name: name, Image: s.Image, Command: []string{"sh", "-c"}, Args: []string{script}}
}

// path is a place in a pod's own run directory, where mounts may be.
func (s *Subject) path(p runner.Pod, elem ...string) string {
	return filepath.Join(append([]string{s.Dir, "runs", p.Name}, elem...)...)
}

// withScratch mounts a scratch volume at path in every container.
func withScratch(p runner.Pod, path string, seed ...string) runner.Pod {
	name := fmt.Sprintf("scratch-%d", len(p.Volumes))
	p.Volumes = append(p.Volumes, runner.Volume{Name: name, Scratch: true, Seed: seed})
	p.Containers = slices.Clone(p.Containers)
	for i := range p.Containers {
		p.Containers[i].Mounts = append(slices.Clone(p.Containers[i].Mounts), runner.Mount{Volume: name, Path: path})
	}
	return p
}

func context60(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// start ensures pods, which must be taken.
func (s *Subject) start(t *testing.T, pods ...runner.Pod) {
	t.Helper()
	if err := s.Ensure(context60(t), pods); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
}

// await follows Watch until the pod is in one of the phases.
func (s *Subject) await(t *testing.T, pod string, phases ...runner.Phase) runner.Status {
	t.Helper()
	ctx := context60(t)
	last := runner.Status{}
	for st, err := range s.Watch(ctx) {
		if err != nil {
			t.Fatalf("Watch: %v", err)
		}
		if st.Pod != pod {
			continue
		}
		if last = st; slices.Contains(phases, st.Phase) {
			return st
		}
	}
	t.Fatalf("%s was not %v in time; last seen: %+v", pod, phases, last)
	return last
}

// ended awaits the end of a pod and collects it.
func (s *Subject) ended(t *testing.T, p runner.Pod) (runner.Exit, *Sink) {
	t.Helper()
	s.await(t, p.Name, runner.PhaseEnded)
	sink := &Sink{}
	exit, err := s.Collect(context60(t), p, sink)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	return exit, sink
}

// run runs a pod to its end.
func (s *Subject) run(t *testing.T, p runner.Pod) (runner.Exit, *Sink) {
	t.Helper()
	s.start(t, p)
	return s.ended(t, p)
}

// awaitLine follows a pod's log until it holds a line.
func (s *Subject) awaitLine(t *testing.T, pod, text string) runner.Line {
	t.Helper()
	var all []string
	for line, err := range s.Logs(context60(t), pod, runner.LogOptions{Follow: true}) {
		if err != nil {
			t.Fatalf("Logs: %v", err)
		}
		if all = append(all, string(line.Text)); string(line.Text) == text {
			return line
		}
	}
	t.Fatalf("%s ended without the line %q; it wrote %q", pod, text, all)
	return runner.Line{}
}

// refused asserts that Ensure refuses a pod with an *UnsupportedError.
func (s *Subject) refused(t *testing.T, p runner.Pod) {
	t.Helper()
	err := s.Ensure(context60(t), []runner.Pod{p})
	no, ok := errors.AsType[*runner.UnsupportedError](err)
	if !ok {
		t.Fatalf("Ensure: %v, want an *UnsupportedError", err)
	}
	if no.Field == "" || no.Reason == "" || no.Backend != s.Features().Name {
		t.Errorf("refusal %+v does not say what and why", no)
	}
}

// Sink keeps what Collect brings. It keeps at most 100,000 lines, and counts
// all.
type Sink struct {
	Outputs      map[string]string
	Lines        []runner.Line
	Count, Bytes int
}

// Output keeps where an output lies.
func (k *Sink) Output(name, path string) error {
	if k.Outputs == nil {
		k.Outputs = map[string]string{}
	}
	k.Outputs[name] = path
	return nil
}

// Line keeps a line.
func (k *Sink) Line(l runner.Line) error {
	k.Count++
	k.Bytes += len(l.Text)
	if len(k.Lines) < 100_000 {
		k.Lines = append(k.Lines, l)
	}
	return nil
}

// text is what one stream brought ("": both), a newline after each line.
func (k *Sink) text(stream runner.Stream) string {
	var b strings.Builder
	for _, l := range k.Lines {
		if stream == "" || l.Stream == stream {
			b.Write(l.Text)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// read returns the content of a file output, or of one in a directory output.
func (k *Sink) read(t *testing.T, output string, elem ...string) string {
	t.Helper()
	path, ok := k.Outputs[output]
	if !ok {
		t.Fatalf("no output %q; there are %v", output, k.Outputs)
	}
	data, err := os.ReadFile(filepath.Join(append([]string{path}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Child is the first argument of the test binary where it is to start a pod,
// say so, and wait to be killed.
const Child = "runnertest-child"

// Main runs the tests, or in a process that the suite started, what that is
// for. open opens the backend over the home that lies in dir.
func Main(m *testing.M, open func(dir string) (runner.Backend, error)) {
	if len(os.Args) < 4 || os.Args[1] != Child {
		os.Exit(m.Run())
	}
	var p runner.Pod
	err := json.Unmarshal([]byte(os.Args[3]), &p)
	if err == nil {
		var b runner.Backend
		if b, err = open(os.Args[2]); err == nil {
			err = b.Ensure(context.Background(), []runner.Pod{p})
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
