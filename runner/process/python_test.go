package process

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/e2e/need"
	"github.com/wherry-ml/wherry/runner"
)

// wheel makes a package with one module, which pip installs without a network.
func wheel(t testing.TB, dir, name, version string) string {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	for file, text := range map[string]string{
		name + ".py":              fmt.Sprintf("VERSION = %q\ndef main(): print('%s', VERSION)\n", version, name),
		info + "METADATA":         fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		info + "WHEEL":            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "entry_points.txt": fmt.Sprintf("[console_scripts]\n%s = %s:main\n", name, name),
		info + "RECORD":           name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "entry_points.txt,,\n" + info + "RECORD,,\n",
	} {
		w, err := z.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// layerOf is a layer with one install.
func layerOf(args ...string) *runner.Layer { return &runner.Layer{Installs: [][]string{args}} }

func needPython(t testing.TB) {
	t.Helper()
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		need.Missing(t, "no python3 with venv on this host")
	}
}

func TestPythonEnvironments(t *testing.T) {
	needPython(t)
	b := newBackend(t)
	wheels := t.TempDir()
	v1, v2 := wheel(t, wheels, "cargo", "1.0"), wheel(t, wheels, "cargo", "2.0")
	sail := wheel(t, wheels, "sail", "3.0")
	t.Setenv("PIP_NO_INDEX", "1")
	var wg sync.WaitGroup
	for i, tt := range []struct{ reqs, command, want string }{
		{v1, "cargo; python -c 'import cargo; print(cargo.VERSION)'; echo $VIRTUAL_ENV $PATH", "main stdout cargo 1.0\nmain stdout 1.0\n"},
		{v2, "/bin/sh -c cargo # python", "main stdout cargo 2.0\n"},
		{v1, "python3 -m pip install --no-index -q " + sail + " && pip uninstall -qy cargo; sail && cargo && pip show sail | grep Version", "main stdout sail 3.0\nmain stdout cargo 1.0\nmain stdout Version: 3.0\n"},
		{v1, "pip install --no-index -q " + v2 + "; cargo; python3 -c 'import cargo; print(cargo.VERSION)'", "main stdout cargo 2.0\nmain stdout 2.0\n"},
		{v1, "python -c 'import sail' 2>/dev/null || echo none", "main stdout none\n"},
		{"", "python -c 'import cargo' 2>/dev/null || echo none; command -v pip", "main stdout none\n"},
	} {
		wg.Go(func() {
			p := onePod(fmt.Sprintf("py%d", i), tt.command)
			if tt.reqs != "" {
				p.Containers[0].Layer = layerOf(tt.reqs)
			}
			exit, c := run(t, b, p)
			if !exit.OK() || !strings.Contains(c.text(), tt.want) {
				t.Errorf("%s: %+v\n%s", tt.command, exit, c.text())
			}
		})
	}
	wg.Wait()
	start := time.Now()
	p := onePod("again", "python -c 'import cargo; print(cargo.VERSION)'; pip --version; echo $VIRTUAL_ENV")
	p.Containers[0].Layer = layerOf(v1)
	if exit, c := run(t, b, p); !exit.OK() || !strings.Contains(c.text(), b.pod("again").venv()) {
		t.Errorf("%+v %s", exit, c.text())
	}
	t.Logf("in an environment that is there: %v", time.Since(start))
}

// TestPipOptions: each install keeps its own options, and the settings that the
// step gives to pip hold. An environment with the same is made once.
func TestPipOptions(t *testing.T) {
	needPython(t)
	var made []string
	var mu sync.Mutex
	b := newBackend(t)
	b.cfg.Note = func(s string) { mu.Lock(); defer mu.Unlock(); made = append(made, s) }
	wheels := t.TempDir()
	wheel(t, wheels, "cargo", "1.0")
	wheel(t, wheels, "cargo", "2.0rc1")
	sail := wheel(t, wheels, "sail", "3.0")
	layer := &runner.Layer{
		Installs: [][]string{{"--find-links", wheels, "--pre", "cargo"}, {"--no-deps", sail}},
		Env:      []runner.EnvVar{{Name: "PIP_NO_INDEX", Value: "1"}, {Name: "PIP_TARGET", Value: "/nowhere"}},
	}
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			p := onePod(fmt.Sprintf("options%d", i), "python3 -c 'import cargo, sail; print(cargo.VERSION, sail.VERSION)'")
			p.Containers[0].Layer = layer
			if exit, c := run(t, b, p); !exit.OK() || !strings.Contains(c.text(), "2.0rc1 3.0") {
				t.Errorf("%+v\n%s", exit, c.text())
			}
		})
	}
	wg.Wait()
	if n := strings.Count(strings.Join(made, "\n"), "installing cargo"); n != 1 {
		t.Errorf("%d installations: %q", n, made)
	}
}

func TestPythonThatCantBeHad(t *testing.T) {
	needPython(t)
	b := newBackend(t)
	ctx := withTimeout(t)
	t.Setenv("PIP_NO_INDEX", "1")
	p := onePod("missing", "python -c 1")
	p.Containers[0].Layer = layerOf("no-such-package==1")
	err := b.Ensure(ctx, []runner.Pod{p})
	var failed *runner.LayerError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "No matching distribution found for no-such-package==1") || !strings.Contains(failed.Hint(), "name and the version") {
		t.Errorf("%v", err)
	}
	var no *runner.ImageError
	if left, _ := filepath.Glob(b.venvs() + "/*/bin"); len(left) > 0 || b.pod("missing").exists() {
		t.Errorf("left: %v", left)
	}
	b.cfg.Python, b.py = "no-such-python", nil
	if err := b.Ensure(ctx, []runner.Pod{p}); !errors.As(err, &no) || !strings.Contains(no.Hint(), "python3-venv") {
		t.Errorf("%v", err)
	}
	if exit, _ := run(t, b, onePod("plain", "true")); !exit.OK() {
		t.Errorf("a step without Python: %+v", exit)
	}
	if _, err := b.Resolve(ctx, "python:3", runner.ResolveOptions{Layer: layerOf("x")}); !errors.As(err, &no) {
		t.Errorf("%v", err)
	}
	if im, err := b.Resolve(ctx, "busybox", runner.ResolveOptions{}); err != nil || im.Platform != platform() {
		t.Errorf("%+v %v", im, err)
	}
}

func TestResolve(t *testing.T) {
	needPython(t)
	b := newBackend(t)
	ctx := withTimeout(t)
	plain, err := b.Resolve(ctx, "python:3.11", runner.ResolveOptions{})
	if err != nil || plain.Ref != "python:3.11" || strings.Contains(plain.Identity, b.cfg.Dir) {
		t.Errorf("%+v %v", plain, err)
	}
	if im, err := b.Resolve(ctx, "python:3.11", runner.ResolveOptions{Layer: layerOf("a")}); err != nil || im.Identity != plain.Identity {
		t.Errorf("what a layer adds is no part of what stands for the image: %+v %v", im, err)
	}
	var no *runner.UnsupportedError
	if _, err := b.Resolve(ctx, "x", runner.ResolveOptions{Platform: "linux/s390x"}); !errors.As(err, &no) {
		t.Errorf("%v", err)
	}
}
