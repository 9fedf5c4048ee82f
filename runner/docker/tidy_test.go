package docker

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
)

// TestTidy: a wherry that was killed when it had removed a pod's container, and not
// yet what lies beside it, leaves that; Tidy takes it away, and nothing else.
func TestTidy(t *testing.T) {
	for name, copying := range map[string]bool{"folders of this machine": false, "volumes of the engine": true} {
		t.Run(name, func(t *testing.T) {
			s := subject(copying)(t)
			b := s.Backend.(*Backend)
			e, err := b.connect.engine(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var pods []string
			for i := range 2 {
				p := runner.Pod{Name: runner.PodName(s.Home, "r", int64(i), 1), Containers: []runner.Container{
					{Name: "main", Image: s.Image, Command: []string{"true"}, Mounts: []runner.Mount{{Volume: "scratch", Path: "/scratch"}}},
				}, Volumes: []runner.Volume{{Name: "scratch", Scratch: true}}}
				if err := b.Ensure(t.Context(), []runner.Pod{p}); err != nil {
					t.Fatal(err)
				}
				pods = append(pods, p.Name)
			}
			if err := e.ContainerRemove(t.Context(), pods[0], container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
				t.Fatal(err)
			}
			if err := openAt(b.cfg.Dir, copying).Tidy(t.Context(), pods[:1]); err != nil { // another process
				t.Error(err)
			}
			if _, err := os.Lstat(b.workDir(pods[0])); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("its folder was left: %v", err)
			}
			if _, err := e.ContainerInspect(t.Context(), pods[1]); err != nil {
				t.Error(err)
			}
			if err := b.Remove(t.Context(), pods[1]); err != nil {
				t.Error(err)
			}
		})
	}
}
