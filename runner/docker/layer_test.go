package docker

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/e2e/need"
	"github.com/wherry-ml/wherry/runner"
)

// wheel makes a package of one module, which pip installs without an index.
func wheel(t *testing.T, dir, name, version string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%s-py3-none-any.whl", name, version)))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	for file, text := range map[string]string{
		name + ".py":      fmt.Sprintf("VERSION = %q\n", version),
		info + "METADATA": fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version),
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "RECORD":   name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n",
	} {
		w, err := z.Create(file)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// layerBase is an image of its own with wheels in it and a configuration that a
// layer must not change.
func layerBase(t *testing.T, b *Backend) runner.Image {
	t.Helper()
	dir := t.TempDir()
	wheel(t, dir, "cargo", "1.0")
	dockerfile := "FROM python:3.11\nRUN mkdir /home/boat && chown 1234 /home/boat\nCOPY *.whl /wheels/\nENV HOME=/home/boat PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 ID=" + b.cfg.Home +
		"\nUSER 1234\nWORKDIR /home/boat\nENTRYPOINT [\"/bin/echo\"]\nCMD [\"hello\"]\n"
	if err := os.WriteFile(dir+"/Dockerfile", []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := runner.BuildSpec{Name: "wherry-test/" + b.cfg.Home + ":base", Context: dir, Derivation: "sha256:base-" + b.cfg.Home}
	removeImage(t, b, spec.Name)
	im, err := b.Build(t.Context(), spec, nil)
	if err != nil {
		t.Fatalf("%v (scripts/base-image.sh makes python:3.11)", err)
	}
	return im
}

// layerSpec is a layer over base, without an index.
func layerSpec(t *testing.T, b *Backend, base runner.Image, l *runner.Layer) runner.BuildSpec {
	l.Env = append(l.Env, runner.EnvVar{Name: "PIP_NO_INDEX", Value: "1"})
	spec := buildSpec(t, b, runner.BuildSpec{Base: base.Ref, Layer: l})
	t.Cleanup(func() {
		noLayerContainers(t, b)
		if e, err := b.connect.engine(context.Background()); err == nil {
			_ = e.VolumeRemove(context.Background(), b.pipCache(), true)
		}
	})
	return spec
}

func noLayerContainers(t *testing.T, b *Backend) {
	t.Helper()
	for _, c := range layerContainers(t, b) {
		t.Errorf("left: %s", c)
	}
}

func layerContainers(t *testing.T, b *Backend) []string {
	t.Helper()
	e, err := b.connect.engine(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	list, err := e.ContainerList(context.Background(), container.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		if c.Labels[labelLayerHome] == b.cfg.Home {
			names = append(names, c.Names[0])
		}
	}
	return names
}

func TestLayer(t *testing.T) {
	b := withConfig(t, map[string]any{"proxies": map[string]any{"default": map[string]string{"ftpProxy": "http://me:password@proxy.example:1"}}})
	base := layerBase(t, b)
	pem := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(pem, []byte("our CA\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := &runner.Layer{Installs: [][]string{{"--find-links", "/wheels", "cargo"}}, Env: []runner.EnvVar{{Name: "PIP_EXTRA_INDEX_URL", Value: "https://token@x.example", Secret: true}}}
	spec := layerSpec(t, b, base, l)
	spec.CABundle = pem
	im, err := b.Build(t.Context(), spec, nil)
	if err != nil || im.Identity != spec.Derivation+" "+base.Platform || im.Name != spec.Name {
		t.Fatalf("%+v, %v", im, err)
	}
	again, err := b.Build(t.Context(), spec, func(line string) { t.Errorf("built again: %s", line) })
	if err != nil || again.Ref != im.Ref {
		t.Errorf("%+v, %v", again, err)
	}
	e, _ := b.connect.engine(t.Context())
	was, _ := e.ImageInspect(t.Context(), base.Ref)
	is, _ := e.ImageInspect(t.Context(), im.Ref)
	if d := is.Config.Labels[labelInstalled]; !strings.HasPrefix(d, "sha256:") || len(d) != 71 {
		t.Errorf("what is installed is on record as %q", d)
	}
	is.Config.Labels, was.Config.Labels = nil, nil
	if diff := cmp.Diff(was.Config, is.Config); diff != "" {
		t.Errorf("the image's configuration changed: %s", diff)
	}
	history, err := e.ImageHistory(t.Context(), im.Ref)
	if text := fmt.Sprintf("%+v %v", history, err); strings.Contains(text, "token") || strings.Contains(text, "password") {
		t.Errorf("it tells a secret: %s", text)
	}
	text := runOne(t, b, runner.Pod{
		Name: runner.PodName(b.cfg.Home, "layer", 1, 1), Network: runner.Network{Mode: runner.NetworkNone},
		Containers: []runner.Container{{Name: "main", Image: im.Ref, Command: []string{"sh", "-c",
			`id -u; python3 -c 'import cargo, os; print(cargo.VERSION, os.path.exists(cargo.__cached__))'; ls -A /home/boat /var/cache/wherry-pip /tmp; ls -A / | grep wherry; env | grep -i -e pip_e -e ftp -e ssl | grep -v PIP_CERT | sort -f`}}},
	})
	if text != "1234\n1.0 True\n/home/boat:\n\n/tmp:\n\n/var/cache/wherry-pip:\nFTP_PROXY=http://me:password@proxy.example:1\nftp_proxy=http://me:password@proxy.example:1\n" {
		t.Errorf("%s", text)
	}
}

// A run without a network uses a layer that is there, and is told what to do about one
// that isn't.
func TestLayerOffline(t *testing.T) {
	b := withConfig(t, nil)
	spec := layerSpec(t, b, layerBase(t, b), &runner.Layer{Installs: [][]string{{"--find-links", "/wheels", "cargo"}}})
	spec.Offline = true
	_, err := b.Build(t.Context(), spec, nil)
	if e, ok := errors.AsType[*runner.ImageError](err); !ok || !strings.Contains(err.Error(), "to install cargo needs the network once") || !strings.Contains(e.Hint(), "--network none") {
		t.Fatalf("%v", err)
	}
	spec.Offline = false
	made, err := b.Build(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec.Offline = true
	if found, err := b.Build(t.Context(), spec, nil); err != nil || found.Ref != made.Ref {
		t.Errorf("%+v, %v", found, err)
	}
}

// What packages run as root while they are installed gains nothing by setuid
// programs, and writes to no cache of another home.
func TestLayerIsConfined(t *testing.T) {
	b := withConfig(t, nil)
	base := layerBase(t, b)
	spec := layerSpec(t, b, base, &runner.Layer{Installs: [][]string{{"--find-links", "/wheels", "cargo"}}})
	e, err := b.connect.engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := e.ImageInspect(t.Context(), spec.Base)
	if err != nil {
		t.Fatal(err)
	}
	name := layerContainer(spec.Derivation)
	if _, err := b.startLayer(t.Context(), e, spec, info, name); err != nil {
		t.Fatal(err)
	}
	defer removeLayer(context.Background(), e, name)
	c, err := e.ContainerInspect(t.Context(), name)
	if err != nil || !slices.Contains(c.HostConfig.SecurityOpt, "no-new-privileges") || len(c.Mounts) != 1 || c.Mounts[0].Name != "wherry-"+b.cfg.Home+"-pip-cache" {
		t.Errorf("%v, %+v, %+v", err, c.HostConfig.SecurityOpt, c.Mounts)
	}
}

func TestLayerVenv(t *testing.T) {
	b := withConfig(t, nil)
	base, err := b.Resolve(t.Context(), "python:3.11", runner.ResolveOptions{Policy: runner.PullNever})
	if err != nil {
		t.Fatal(err)
	}
	spec := layerSpec(t, b, base, &runner.Layer{Installs: [][]string{{"--upgrade-strategy", "only-if-needed", "pip"}}, Venv: true})
	im, err := b.Build(t.Context(), spec, nil)
	if err != nil {
		if strings.Contains(err.Error(), "ensurepip is not") {
			need.Missing(t, "this image can't make virtual environments")
		}
		t.Fatal(err)
	}
	text := runOne(t, b, runner.Pod{Name: runner.PodName(b.cfg.Home, "venv", 1, 1), Containers: []runner.Container{{Name: "main", Image: im.Ref,
		Command: []string{"python3", "-c", "import sys; print(sys.prefix)"}}}})
	if text != layerVenv+"\n" {
		t.Errorf("%q", text)
	}
}

func TestLayerFails(t *testing.T) {
	b := withConfig(t, nil)
	base := layerBase(t, b)
	spec := layerSpec(t, b, base, &runner.Layer{Installs: [][]string{{"no-such-package==9"}}})
	_, err := b.Build(t.Context(), spec, nil)
	if e, ok := errors.AsType[*runner.LayerError](err); !ok || !strings.Contains(e.Hint(), "the name and the version") ||
		strings.Count(err.Error(), "No matching distribution found for no-such-package==9") != 1 {
		t.Errorf("%v", err)
	}
	busybox, err := b.Resolve(t.Context(), testImage, runner.ResolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spec.Base, spec.Derivation = busybox.Ref, spec.Derivation+"-none"
	if _, err = b.Build(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), "python3: not found") {
		t.Errorf("%v", err)
	}
}

func TestLayerIsCancelled(t *testing.T) {
	b := withConfig(t, nil)
	base := layerBase(t, b)
	spec := layerSpec(t, b, base, &runner.Layer{Installs: [][]string{{"cargo"}}})
	spec.Layer.Env = []runner.EnvVar{{Name: "PIP_INDEX_URL", Value: "https://192.0.2.1/simple"}} // nobody answers there
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	started := time.Now()
	if _, err := b.Build(ctx, spec, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if d := time.Since(started); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
}

// Two homes on one engine that need the same layer at once install it once.
func TestLayerOfTwoHomes(t *testing.T) {
	b1, b2 := withConfig(t, nil), withConfig(t, nil)
	spec := layerSpec(t, b1, layerBase(t, b1), &runner.Layer{Installs: [][]string{{"--find-links", "/wheels", "cargo"}}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	installed := 0
	for _, b := range []*Backend{b1, b2, b1} {
		wg.Go(func() {
			_, err := b.Build(t.Context(), spec, func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(line, "Successfully installed") {
					installed++
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if installed != 1 {
		t.Errorf("installed %d times", installed)
	}
	noLayerContainers(t, b2)
}

// A wherry that was killed while it built leaves a container. The next that wants
// the layer takes it up, and the next that builds any other removes it.
func TestLayerLeftBehind(t *testing.T) {
	b := withConfig(t, nil)
	base := layerBase(t, b)
	spec := layerSpec(t, b, base, &runner.Layer{Installs: [][]string{{"--find-links", "/wheels", "cargo"}}})
	e, err := b.connect.engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave := func(spec runner.BuildSpec) {
		info, err := e.ImageInspect(t.Context(), spec.Base)
		if err == nil {
			_, err = b.startLayer(t.Context(), e, spec, info, layerContainer(spec.Derivation))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	leave(spec)
	other := spec
	other.Derivation += "-other"
	leave(other)
	if n := layerContainers(t, b); len(n) != 2 {
		t.Fatalf("left %q", n)
	}
	unlock, err := b.lockBuild(t.Context(), other.Derivation, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	third := spec
	third.Derivation += "-third"
	leave(third)
	free, err := b.lockBuild(t.Context(), spec.Derivation, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	b.Sweep(t.Context()) // as a driver does that connects
	if n := layerContainers(t, b); len(n) != 2 || slices.Contains(n, "/"+layerContainer(third.Derivation)) {
		t.Errorf("after a sweep, of two builds that somebody follows and one that nobody does, %q are left", n)
	}
	unlock()
	free()
	lines := ""
	if _, err := b.Build(t.Context(), spec, func(line string) { lines += line + "\n" }); err != nil || !strings.Contains(lines, "waiting for another") {
		t.Errorf("%v\n%s", err, lines)
	}
}
