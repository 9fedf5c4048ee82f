package dag

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

// trees is an artifact store of source folders: by digest, file name and text. A
// view of them says that opened were opened.
type trees struct {
	someArtifacts
	dir    string
	files  map[string]map[string]string
	mu     sync.Mutex
	opened []string
	missed bool
}

func (a *trees) View(_ context.Context, digest, at string) (View, error) {
	if _, alone := a.files[digest]["."]; alone || a.files[digest] == nil {
		return nil, ErrNoView
	}
	return a, os.MkdirAll(at, 0o755)
}

func (a *trees) Opened() ([]string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.opened, !a.missed
}

func (a *trees) SoFar() []string {
	opened, _ := a.Opened()
	return opened
}

func (a *trees) Files(_ context.Context, digest string) (map[string]string, error) {
	if a.files[digest] == nil {
		return nil, fs.ErrNotExist
	}
	return a.files[digest], nil
}

func (a *trees) ReadDigest(_ context.Context, digest string, opened []string) (string, error) {
	text := fmt.Sprint(sortedKeys(a.files[digest]))
	for _, name := range opened {
		content, ok := a.files[digest][name]
		if !ok {
			return "", fs.ErrNotExist
		}
		text += name + content
	}
	return digestOf(text), nil
}

func (a *trees) Path(digest string) (string, error) {
	dir := filepath.Join(a.dir, digest)
	if text, alone := a.files[digest]["."]; alone {
		return dir, os.WriteFile(dir, []byte(text), 0o600)
	}
	for name, text := range a.files[digest] {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// seeing is an engine on this machine's kernel.
type seeing struct{ *scripted }

func (b seeing) Features() runner.Features {
	f := b.scripted.Features()
	f.SeesOpens = true
	return f
}

// TestReadsOfSources asserts that of a mounted folder only that counts which the
// step has read, and that the reason says so.
func TestReadsOfSources(t *testing.T) {
	play(t, func(s *stage) {
		store := &trees{dir: s.home, opened: []string{"a.py"}, files: map[string]map[string]string{
			"t1": {"a.py": "x\nlr = 0.1\n", "b.py": "b"},
			"t2": {"a.py": "x\nlr = 0.1\n", "b.py": "B"},
			"t3": {"a.py": "x\nlr = 0.2\n", "b.py": "B"},
			"t4": {"a.py": "x\nlr = 0.2\n", "b.py": "B", "c.py": ""},
		}}
		run := func(id, tree, want string) {
			t.Helper()
			p := steps("a")
			p.Components["root"].Graph.Tasks["a"].Cache = true
			s.create(id, p, func(r *Run) {
				r.Options.Mounts = []Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: tree}}
			})
			d := s.driver(id)
			d.Backend, d.Artifacts = seeing{s.backend}, store
			if _, _, err := d.Drive(s.t.Context(), id); err != nil {
				t.Fatal(err)
			}
			_, executions, _ := s.store.LoadRun(s.t.Context(), id)
			if got := executions[0].Reason; got != want || executions[0].State != Succeeded {
				t.Errorf("%s: %s (%s), want %s", id, executions[0].State, got, want)
			}
		}
		run("r1", "t1", "first run")
		run("r2", "t1", "same inputs and code as in run r1")
		run("r3", "t2", "b.py changed, which it does not read; else as in run r1")
		run("r4", "t3", "/app/a.py changed, line 2: lr = 0.1 -> lr = 0.2")
		run("r5", "t4", "/app/c.py is new")
		run("r6", "t2", "b.py changed, which it does not read; else as in run r1")
		store.missed = true
		store.files["t5"] = map[string]string{"a.py": "other", "b.py": "B"}
		store.files["t6"] = map[string]string{"a.py": "other", "b.py": "changed"}
		run("r7", "t5", "/app/a.py changed, line 1: x -> other")
		run("r8", "t6", "/app/a.py changed, line 1: x -> other")
		if left, _ := filepath.Glob(filepath.Join(s.home, "runs", "*", "views", "*")); len(left) > 0 {
			t.Errorf("views were left: %v", left)
		}
	})
}

// TestFileAmongSources asserts that a single file counts as read, and that of the folder
// beside it only that counts which the step has read.
func TestFileAmongSources(t *testing.T) {
	play(t, func(s *stage) {
		store := &trees{dir: s.home, opened: []string{"a.py"}, files: map[string]map[string]string{
			"t1": {"a.py": "a", "b.py": "b"}, "t2": {"a.py": "a", "b.py": "B"},
			"f1": {".": "x\nlr = 0.1\n"}, "f2": {".": "x\nlr = 0.2\n"},
		}}
		run := func(id, tree, file, want string, more ...Mount) {
			t.Helper()
			p := steps("a")
			p.Components["root"].Graph.Tasks["a"].Cache = true
			s.create(id, p, func(r *Run) {
				r.Options.Mounts = append([]Mount{
					{Source: "/src", Target: "/app", ReadOnly: true, Digest: tree},
					{Source: "/one.cfg", Target: "/one.cfg", ReadOnly: true, Digest: file},
				}, more...)
			})
			d := s.driver(id)
			d.Backend, d.Artifacts = seeing{s.backend}, store
			d.Observe = func(e Event) {
				if strings.Contains(e.Note, ErrNoView.Error()) {
					t.Errorf("%s: %s", id, e.Note)
				}
			}
			_, executions, err := d.Drive(s.t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if got := executions[0].Reason; got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
		run("r1", "t1", "f1", "first run")
		run("r2", "t2", "f1", "b.py changed, which it does not read; else as in run r1")
		run("r3", "t2", "f2", "/one.cfg changed, line 2: lr = 0.1 -> lr = 0.2")
		run("r4", "t1", "f2", "b.py changed, which it does not read; else as in run r3")
		run("r5", "t2", "f2", "mount /two.cfg: (none) -> f1", Mount{Source: "/two.cfg", Target: "/two.cfg", ReadOnly: true, Digest: "f1"})
	})
}

// TestReadsNeedTheKernel asserts that everything counts where opens can't be seen.
func TestReadsNeedTheKernel(t *testing.T) {
	play(t, func(s *stage) {
		store := &trees{dir: s.home, files: map[string]map[string]string{"t1": {"a.py": "a"}, "t2": {"a.py": "b"}}}
		for _, tree := range []string{"t1", "t2"} {
			p := steps("a")
			p.Components["root"].Graph.Tasks["a"].Cache = true
			s.create(tree, p, func(r *Run) {
				r.Options.Mounts = []Mount{{Source: "/src", Target: "/app", ReadOnly: true, Digest: tree}}
			})
			d := s.driver(tree)
			d.Artifacts = store
			_, executions, err := d.Drive(s.t.Context(), tree)
			if err != nil || executions[0].Cached {
				t.Errorf("%s: %v, cached %v", tree, err, executions[0].Cached)
			}
		}
	})
}
