package process

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wherry-ml/wherry/filetree"
	"github.com/wherry-ml/wherry/runner"
)

// checkFiles refuses names that lead out of their volume.
func checkFiles(files map[string]runner.File) error {
	for name := range files {
		if !filepath.IsLocal(name) || name == "." {
			return fmt.Errorf("%q is not the name of a file in it", name)
		}
	}
	return nil
}

// writeFiles writes a pod's own files below dir, which only this user can look
// into: unlike a container's, its place can be seen from everywhere on this machine.
func writeFiles(dir string, files map[string]runner.File) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, f := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		mode := fs.FileMode(0o444)
		if f.Mode != 0 {
			mode = f.Mode.Perm()
		}
		if err := os.WriteFile(at, f.Data, mode&0o700); err != nil {
			return err
		}
	}
	return nil
}

// RemoveVolume deletes a named volume, as runner.VolumeRemover says.
func (b *Backend) RemoveVolume(_ context.Context, name string) error {
	if !fileName(name) {
		return fmt.Errorf("remove volume %q: it can't be the name of a directory", name)
	}
	if pod := b.userOf(b.named(name)); pod != "" {
		return fmt.Errorf("remove volume %q: pod %q still uses it", name, pod)
	}
	if err := filetree.RemoveAll(b.named(name)); err != nil {
		return fmt.Errorf("remove volume %q: %w", name, err)
	}
	return nil
}

// userOf returns a running pod that has mounted dir; "" where none has.
func (b *Backend) userOf(dir string) string {
	entries, _ := os.ReadDir(b.live())
	for _, e := range entries {
		d := b.pod(e.Name())
		s, err := d.readSpec()
		if err != nil {
			continue
		}
		for _, m := range s.Mounts {
			if !within(dir, m.Real) {
				continue
			}
			if st, err := d.look(); err == nil && st.phase == runner.PhaseRunning {
				return e.Name()
			}
		}
	}
	return ""
}
