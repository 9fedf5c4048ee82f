package process

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/e2e/need"
)

// smallDisk mounts a file system of 2 MB, which only root may.
func smallDisk(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		need.Missing(t, "only root may mount a small disk")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		if errors.Is(err, unix.EPERM) {
			need.Missing(t, "no right to mount here")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
