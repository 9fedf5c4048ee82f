package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/e2e/need"
)

func TestDiskFull(t *testing.T) {
	home := need.Tmpfs(t, "size=1m")
	s, err := Open(home)
	must(t, err)
	dir := tree(t, map[string]string{"model": strings.Repeat("x", 3<<20), "small": "s"})
	ways := map[string]func(context.Context) (string, error){
		"storing": func(ctx context.Context) (string, error) {
			d, _, err := s.Add(ctx, dir)
			return d, err
		},
		"copying": func(ctx context.Context) (string, error) {
			d, _, err := s.Import(ctx, dir)
			return d, err
		},
		"copying ": func(ctx context.Context) (string, error) {
			d, _, err := s.Snapshot(ctx, dir, SnapshotOptions{})
			return d, err
		},
	}
	for doing, way := range ways {
		_, err := way(t.Context())
		e, ok := errors.AsType[*NoSpaceError](err)
		if !ok || !errors.Is(err, unix.ENOSPC) || e.Need != 3<<20+1 || e.Free > 1<<20 {
			t.Errorf("%s: %+v, want a *NoSpaceError with 3 MiB", doing, err)
			continue
		}
		want := fmt.Sprintf("%s %s: no room on the disk of %s: 3.0 MiB needed, ", strings.TrimSpace(doing), dir, home)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		noLitter(t, s)
	}
	// With room again, all goes well.
	must(t, unix.Mount("tmpfs", home, "tmpfs", unix.MS_REMOUNT, "size=10m"))
	add(t, s, dir)
}

func TestNoInodes(t *testing.T) {
	home := need.Tmpfs(t, "size=10m,nr_inodes=30")
	s, err := Open(home)
	must(t, err)
	_, _, err = s.Snapshot(t.Context(), tree(t, outputs(t, 100)), SnapshotOptions{})
	if !is[*NoSpaceError](err) {
		t.Fatalf("%v, want a *NoSpaceError", err)
	}
	noLitter(t, s)
}

func TestAcrossFileSystems(t *testing.T) {
	s, err := Open(need.Tmpfs(t, "size=50m"))
	must(t, err)
	dir := tree(t, outputs(t, 100))
	want := add(t, open(t), tree(t, outputs(t, 100)))
	if d := add(t, s, dir); d != want {
		t.Errorf("got %s, want %s", d, want)
	}
	if st, _ := statPath(filepath.Join(dir, "d1/f1")); st.nlink != 1 || st.mode != 0o644 {
		t.Errorf("the original was touched: %+v", st)
	}
	if d := snap(t, s, dir); d != want {
		t.Errorf("snapshot %s, want %s", d, want)
	}
	out := filepath.Join(t.TempDir(), "out")
	must(t, s.Link(want, out))
	if fi, err := os.Stat(out); err != nil || !fi.IsDir() {
		t.Errorf("link across file systems: %v", err)
	}
}

// TestOwner runs as root and as another uid. As root, files of others become
// root's; as an ordinary user, they are copied. Either way, who stored them can
// delete them.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		need.Missing(t, "only root may become another uid")
	}
	base := t.TempDir()
	for dir := base; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	others := func(name string, uid int) string {
		dir := filepath.Join(base, name)
		fill(t, dir, map[string]string{"a": "1", "b/c*": "2"})
		must(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chown(p, uid, uid))
		}))
		return dir
	}
	s := open(t)
	d := add(t, s, others("root-stores", 1234))
	p, _ := s.Path(d)
	if st, _ := statPath(filepath.Join(p, "a")); st.uid != 0 || st.nlink != 2 {
		t.Errorf("as root: uid %d, %d names; want 0, 2", st.uid, st.nlink)
	}

	// A copy of the test binary, where uid 1234 may execute it.
	exe := filepath.Join(base, "child")
	data, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(exe, data, 0o755))
	home := filepath.Join(base, "home")
	must(t, os.Mkdir(home, 0o755))
	must(t, os.Chown(home, 1234, 1234))
	user := func(command ...string) string {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), childVerb+"=add", childHome+"="+home, childPath+"="+filepath.Join(base, "user-stores"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, &out)
		}
		return out.String()
	}
	others("user-stores", 0)
	if out := user(exe); !strings.Contains(out, d) {
		t.Errorf("as a user: %q, want %s", out, d)
	}
	if st, _ := statPath(filepath.Join(home, "artifacts/sha256", d[7:9], d[7:], "b/c")); st.uid != 1234 || st.nlink != 1 {
		t.Errorf("as a user: uid %d, %d names; want 1234, 1", st.uid, st.nlink)
	}
	user("rm", "-rf", filepath.Join(home, "artifacts"))
}
