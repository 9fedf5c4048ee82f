package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// place is where one pipeline runs: a folder of its own with the file, a
// wherry.yaml and a home.
type place struct {
	dir, home, file string
}

// project is what the place's wherry.yaml says. JSON is YAML.
type project struct {
	Images map[string]string `json:"images,omitempty"`
	Mounts []string          `json:"mounts,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
}

// newPlace copies a pipeline file and gives its images the meaning that they have
// here. What is left on the engine goes with the test.
func newPlace(t *testing.T, file string, p project) *place {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pl := &place{dir: t.TempDir()}
	pl.home, pl.file = filepath.Join(pl.dir, "home"), filepath.Join(pl.dir, filepath.Base(file))
	images := standIns(string(text))
	maps.Copy(images, p.Images)
	p.Images = images
	config, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	pl.write(t, filepath.Base(file), string(text))
	pl.write(t, "wherry.yaml", string(config))
	t.Cleanup(func() { harness.CleanUp(pl.home) })
	return pl
}

// write puts a file into the place and returns its path.
func (pl *place) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(pl.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// stands are the images of the suite that others stand for here, by the end of
// their names: which registry they come from does not count.
var stands = []struct{ name, image string }{
	{"ubi9/python-311:latest", "python:3.11"},
	{"library/python:3.12", "python:3.11"},
	{"python:alpine3.9", "python:3.11"},
	{"python:3.7", "python:3.11"},
	{"alpine", "wherry-test/busybox"},
	{"alpine:latest", "wherry-test/busybox"},
	{"containerd/busybox", "wherry-test/busybox"},
}

func standIn(image string) string {
	for _, s := range stands {
		if image == s.name || strings.HasSuffix(image, "/"+s.name) {
			return s.image
		}
	}
	return ""
}

var imageLine = regexp.MustCompile(`(?m)^\s+image: (\S+)$`)

// standIns finds the images that a compiled pipeline names and that another
// stands for.
func standIns(pipeline string) map[string]string {
	out := map[string]string{}
	for _, m := range imageLine.FindAllStringSubmatch(pipeline, -1) {
		if s := standIn(m[1]); s != "" {
			out[m[1]] = s
		}
	}
	return out
}

// result is what a call of wherry gave.
type result struct {
	run     *run // nil where it printed none
	code    int
	said    string // stderr
	printed string // stdout
	took    time.Duration
}

// patience is how long one call may take; a first one may have to fetch packages.
var patience = 4 * time.Minute

// command is a call of wherry in the place.
func (pl *place) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, wherry, args...)
	cmd.Dir = pl.dir
	cmd.Env = append(os.Environ(), "WHERRY_HOME="+pl.home, "NO_COLOR=1", "COLUMNS=200", "LC_ALL=C.UTF-8")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // its goroutines say what it waits for
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// call runs wherry to its end.
func (pl *place) call(t *testing.T, args ...string) *result {
	t.Helper()
	return pl.start(t, args...).wait(t)
}

// process is a call of wherry that goes on.
type process struct {
	cmd       *exec.Cmd
	ctx       context.Context
	out, said bytes.Buffer // to be read once it has ended
	began     time.Time
	ended     chan struct{}
	err       error // of its end
}

// start starts wherry.
func (pl *place) start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	p := &process{cmd: pl.command(ctx, args...), ctx: ctx, began: time.Now(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.said
	if err := p.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer cancel()
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

// wait waits for the end.
func (p *process) wait(t *testing.T) *result {
	t.Helper()
	<-p.ended
	r := &result{said: p.said.String(), printed: p.out.String(), took: time.Since(p.began)}
	if errors.Is(p.ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("wherry %s: no end in %s\n%s", strings.Join(p.cmd.Args[1:], " "), patience, r.said)
	}
	if e, ok := errors.AsType[*exec.ExitError](p.err); ok {
		r.code = e.ExitCode()
	} else if p.err != nil {
		t.Fatal(p.err)
	}
	var doc struct{ Run *run }
	if json.Unmarshal(p.out.Bytes(), &doc) == nil {
		r.run = doc.Run
	}
	return r
}

// until waits until a thing holds while the process goes on.
func (p *process) until(t *testing.T, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-p.ended:
			t.Fatalf("wherry ended before\n%s", tail(p.said.String()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// runArgs are the arguments of `wherry run` for the place's file and these inputs.
func (pl *place) runArgs(inputs map[string]any, more ...string) []string {
	return slices.Concat([]string{"run", filepath.Base(pl.file), "-o", "json"}, parameters(inputs), more)
}

// parameters are flags; what is no text goes as JSON.
func parameters(inputs map[string]any) []string {
	var args []string
	for name, value := range inputs {
		text, ok := value.(string)
		if !ok {
			j, _ := json.Marshal(value)
			text = string(j)
		}
		args = append(args, "-p", name+"="+text)
	}
	return args
}

// lastWords are the lines of stderr that say what went wrong.
func (r *result) lastWords() string {
	lines := strings.Split(strings.TrimSpace(r.said), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "wherry: ") {
			return line
		}
	}
	return fmt.Sprintf("exit %d: %s", r.code, lines[len(lines)-1])
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// lengthOf is how many bytes a call of wherry prints, which must succeed.
func (pl *place) lengthOf(t *testing.T, args ...string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := pl.command(ctx, args...)
	var n counter
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &n, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("wherry %s: %v\n%s", strings.Join(args, " "), err, tail(said.String()))
	}
	return int64(n)
}
