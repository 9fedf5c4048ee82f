package docker

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/runnertest"
)

// testImage has a shell and the usual small tools; scripts/base-image.sh --test
// makes it.
const testImage = "wherry-test/busybox"

func TestMain(m *testing.M) {
	runnertest.Main(m, func(dir string) (runner.Backend, error) { return openAt(dir, false), nil })
}

func openAt(dir string, copyFiles bool) *Backend {
	return New(Config{Home: homeOf(dir), Dir: dir, Store: runnertest.Store(filepath.Join(dir, "artifacts")), Copy: copyFiles})
}

// homeOf makes an id of a temporary directory, as the real one is made of
// WHERRY_HOME.
func homeOf(dir string) string {
	h := fnv.New32a()
	h.Write([]byte(dir))
	return fmt.Sprintf("t%08x", h.Sum32())
}

func subject(copyFiles bool) func(t *testing.T) *runnertest.Subject {
	return func(t *testing.T) *runnertest.Subject {
		dir := t.TempDir()
		s := &runnertest.Subject{Home: homeOf(dir), Dir: dir, Store: runnertest.Store(filepath.Join(dir, "artifacts")), Image: testImage, User: "65534"}
		s.Open = func() (runner.Backend, error) { return openAt(dir, copyFiles), nil }
		b := openAt(dir, copyFiles)
		s.Backend = b
		if err := os.MkdirAll(string(s.Store), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Fatalf("%v (scripts/engine.sh starts one)", err)
		}
		im, err := b.Resolve(t.Context(), testImage, runner.ResolveOptions{Policy: runner.PullNever})
		if err != nil {
			t.Fatalf("%v (scripts/base-image.sh --test makes it)", err)
		}
		s.Image = im.Ref
		t.Cleanup(func() {
			nothingLeft(t, s.Home)
			b.Close()
			s.Backend.(*Backend).Close()
		})
		return s
	}
}

// nothingLeft asserts that a home has nothing on the engine any more, but for
// volumes that outlive their pods, which it removes.
func nothingLeft(t *testing.T, home string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b := New(Config{Home: home, Dir: t.TempDir()})
	defer b.Close()
	e, err := b.connect.engine(ctx)
	if err != nil {
		t.Error(err)
		return
	}
	mine := filters.NewArgs(filters.Arg("label", runner.LabelHome+"="+home))
	cs, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	for _, c := range cs {
		t.Errorf("container %v was left", c.Names)
		e.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})
	}
	nets, nerr := e.NetworkList(ctx, network.ListOptions{Filters: mine})
	for _, n := range nets {
		t.Errorf("network %s was left", n.Name)
		e.NetworkRemove(ctx, n.ID)
	}
	vols, verr := e.VolumeList(ctx, volume.ListOptions{Filters: mine})
	for _, v := range vols.Volumes {
		if v.Labels[runner.LabelPod] != "" {
			t.Errorf("volume %s was left", v.Name)
		}
		e.VolumeRemove(ctx, v.Name, true)
	}
	if err != nil || nerr != nil || verr != nil {
		t.Error(err, nerr, verr)
	}
}

// TestBackend runs the suite with scratch directories mounted, as for root.
func TestBackend(t *testing.T) { runnertest.Run(t, subject(false)) }

// TestCopying runs the suite with files copied, as for a remote engine.
func TestCopying(t *testing.T) {
	runnertest.Run(t, subject(true), "Answers", "Adoption", "CallerKilled", "Inputs", "Tree", "Seed", "Outputs", "OutputElsewhere",
		"LinkedOutputs", "NamedVolume", "NamedVolumeSubPath", "Files", "FilesInContainer", "ScratchIsPrivate", "InitContainer", "Ordered", "Gang",
		"Peek", "PeekImage", "OutputOfContainer")
}
