package docker

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// builtImage makes an image of a Dockerfile that bears a derivation of this test.
func builtImage(t *testing.T, b *Backend) (runner.BuildSpec, runner.Image) {
	t.Helper()
	name := "wherry/gc-test-" + strings.ToLower(t.Name()) + time.Now().Format("150405.000000")
	spec := runner.BuildSpec{Name: strings.ReplaceAll(name, ".", "-") + ":latest", Derivation: "sha256:" + name, Context: contextDir(t)}
	image, err := b.Build(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image.Ref).Run() })
	return spec, image
}

func contextDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/Dockerfile", "FROM wherry-test/busybox\nCOPY x /x\n")
	write(t, dir+"/x", t.Name()+time.Now().String())
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func held(t *testing.T, b *Backend, id string) (runner.Holding, bool) {
	t.Helper()
	list, err := b.Holdings(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		if h.ID == id {
			return h, true
		}
	}
	return runner.Holding{}, false
}

// TestImageHoldings: an image that was built is this home's until another home
// uses it; one in use, or used since it was listed, stays; a person's own is none.
func TestImageHoldings(t *testing.T) {
	b, other := New(Config{Home: "gc-one", Dir: t.TempDir()}), New(Config{Home: "gc-two", Dir: t.TempDir()})
	defer b.Close()
	defer other.Close()
	spec, image := builtImage(t, b)
	h, ok := held(t, b, image.Ref)
	if !ok || h.Kind != runner.HoldingImage || !h.Own || h.Busy || h.Name != spec.Name || time.Since(h.Used) > time.Minute {
		t.Fatalf("%+v, %t", h, ok)
	}
	if h, ok := held(t, other, image.Ref); !ok || h.Own {
		t.Errorf("in a home that has not used it: %+v, %t", h, ok)
	}

	docker(t, "create", "--name", "wherry-gc-test", image.Ref, "true")
	defer func() { _ = exec.Command("docker", "rm", "-f", "wherry-gc-test").Run() }()
	if h, _ := held(t, b, image.Ref); !h.Busy {
		t.Error("a container has it, and it is not busy")
	}
	if gone, err := b.Discard(t.Context(), h); gone || err != nil {
		t.Errorf("a container has it: gone %t, %v", gone, err)
	}
	docker(t, "rm", "wherry-gc-test")

	earlier := h
	earlier.Used = h.Used.Add(-time.Hour)
	if gone, err := b.Discard(t.Context(), earlier); gone || err != nil {
		t.Errorf("it was used since: gone %t, %v", gone, err)
	}
	docker(t, "tag", image.Ref, "gc-test-mine")
	h, _ = held(t, b, image.Ref)
	if gone, err := b.Discard(t.Context(), h); gone || err != nil {
		t.Errorf("it has a name of somebody's own: gone %t, %v", gone, err)
	}
	docker(t, "rmi", "gc-test-mine")
	h, ok = held(t, b, image.Ref)
	if gone, err := b.Discard(t.Context(), h); !ok || !gone || err != nil {
		t.Errorf("listed %t, gone %t, %v", ok, gone, err)
	}
	if _, ok := held(t, b, image.Ref); ok {
		t.Error("it is still there")
	}
	if gone, err := b.Discard(t.Context(), h); !gone || err != nil {
		t.Errorf("again: gone %t, %v", gone, err)
	}
}

// TestInheritedLabel: what a person builds on one of our images is his.
func TestInheritedLabel(t *testing.T) {
	b := New(Config{Home: "gc-one", Dir: t.TempDir()})
	defer b.Close()
	spec, _ := builtImage(t, b)
	dir := t.TempDir()
	write(t, dir+"/Dockerfile", "FROM "+spec.Name+"\nENV mine=1\n")
	docker(t, "build", "-q", "-t", "gc-test-child", dir)
	defer func() { _ = exec.Command("docker", "rmi", "-f", "gc-test-child").Run() }()
	id := strings.TrimSpace(docker(t, "image", "inspect", "-f", "{{.Id}}", "gc-test-child"))
	if h, ok := held(t, b, id); ok {
		t.Errorf("a person's own image is listed: %+v", h)
	}
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v: %s", args, err, out)
	}
	return string(out)
}

// TestOldPipCache: the volume of earlier versions is listed, as nobody's own, and can be
// removed.
func TestOldPipCache(t *testing.T) {
	there := exec.Command("docker", "volume", "inspect", oldPipCache).Run() == nil
	if !there {
		docker(t, "volume", "create", oldPipCache)
		t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", "-f", oldPipCache).Run() })
	}
	b := New(Config{Home: "gc-one", Dir: t.TempDir()})
	defer b.Close()
	h, ok := held(t, b, oldPipCache)
	if !ok || h.Kind != runner.HoldingCache || h.Own {
		t.Fatalf("%+v, %t", h, ok)
	}
	if there {
		return // it may be somebody's on this machine
	}
	if gone, err := b.Discard(t.Context(), h); !gone || err != nil {
		t.Errorf("gone %t, %v", gone, err)
	}
	if _, ok := held(t, b, oldPipCache); ok {
		t.Error("it is still there")
	}
}
