package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/filetree"
	"github.com/wherry-ml/wherry/runner"
)

// reserved are the folders of Dir in which nothing can be mounted.
var reserved = []string{"work", "venvs", "volumes", "artifacts", "logs", "wherry.db"}

// placeable reports whether a mount at path can be made: as a symbolic link, in
// a place that belongs to Wherry.
func (b *Backend) placeable(path string) bool {
	rel, err := filepath.Rel(b.cfg.Dir, path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return false
	}
	first, _, _ := strings.Cut(rel, "/")
	return !slices.Contains(reserved, first)
}

func (b *Backend) notPlaceable(field, path string) error {
	return unsupported(field, "host processes see this machine's files as they are; only paths under %s can be placed, not %s",
		b.cfg.Dir, path)
}

// planMounts finds the directory of every volume and the place of every mount,
// input and output.
func (b *Backend) planMounts(pl *plan, p runner.Pod, d podDir) error {
	real, err := b.planVolumes(pl, p, d)
	if err != nil {
		return err
	}
	for _, c := range p.Containers {
		for _, m := range c.Mounts {
			field := fmt.Sprintf("container %q: mount at %s", c.Name, m.Path)
			if err := b.planMount(pl, m, real, field); err != nil {
				return err
			}
		}
	}
	for _, in := range p.Inputs {
		from, err := b.stored(in.Digest)
		if err != nil {
			return fmt.Errorf("find input %s of pod %q: %w", in.Path, p.Name, err)
		}
		at := filepath.Clean(in.Path)
		if at != from && !b.placeable(at) {
			return b.notPlaceable("input at "+in.Path, in.Path)
		}
		pl.Inputs = append(pl.Inputs, bind{at, from})
	}
	for _, o := range p.Outputs {
		if _, ok := pl.locate(o.Path); !ok {
			return unsupported(fmt.Sprintf("output %q at %s", o.Name, o.Path),
				"outputs must lie in a mounted volume; host processes have no file system of their own")
		}
	}
	// Parents before what is mounted in them.
	byPath := func(x, y bind) int { return cmp.Compare(x.Path, y.Path) }
	slices.SortFunc(pl.Links, byPath)
	slices.SortFunc(pl.Inputs, byPath)
	return nil
}

// planVolumes returns the directory of each volume, by name.
func (b *Backend) planVolumes(pl *plan, p runner.Pod, d podDir) (map[string]string, error) {
	real := map[string]string{}
	pl.seeds, pl.files = map[string][]string{}, map[string]map[string]runner.File{}
	for _, v := range p.Volumes {
		at := ""
		var err error
		switch {
		case v.Memory:
			err = unsupported(fmt.Sprintf("volume %q in memory", v.Name), "host processes have no memory of their own to mount")
		case v.Files != nil:
			at = d.volume(v.Name)
			err = checkFiles(v.Files)
			pl.files[v.Name] = v.Files
		case v.Scratch:
			at = d.volume(v.Name)
			pl.volumes = append(pl.volumes, at)
			for _, digest := range v.Seed {
				from, err := b.stored(digest)
				if err != nil {
					return nil, fmt.Errorf("find the seed of volume %q of pod %q: %w", v.Name, p.Name, err)
				}
				pl.seeds[v.Name] = append(pl.seeds[v.Name], from)
			}
		case v.Named != "":
			at = b.named(v.Named)
			pl.volumes = append(pl.volumes, at)
			if !fileName(v.Named) {
				err = fmt.Errorf("it can't be the name of a directory")
			}
		case v.Live:
			err = unsupported(fmt.Sprintf("live mount of %s", v.Host), "host processes could write to it; they see this machine's files at their own paths")
		case v.Host != "":
			at = filepath.Clean(v.Host)
		case v.Tree != "":
			at, err = b.stored(v.Tree)
		default:
			err = fmt.Errorf("it says not what it is")
		}
		if err == nil && !fileName(v.Name) {
			err = fmt.Errorf("its name can't be the name of a directory")
		}
		if err != nil {
			return nil, fmt.Errorf("volume %q of pod %q: %w", v.Name, p.Name, err)
		}
		real[v.Name] = at
	}
	return real, nil
}

func (b *Backend) planMount(pl *plan, m runner.Mount, real map[string]string, field string) error {
	from, ok := real[m.Volume]
	switch {
	case !ok:
		return fmt.Errorf("%s: the pod has no volume %q", field, m.Volume)
	case m.SubPath != "" && !filepath.IsLocal(m.SubPath):
		return fmt.Errorf("%s: %q leads out of volume %q", field, m.SubPath, m.Volume)
	}
	mnt := bind{filepath.Clean(m.Path), filepath.Join(from, m.SubPath)}
	if slices.Contains(pl.Mounts, mnt) {
		return nil
	}
	for _, other := range pl.Mounts {
		if other.Path == mnt.Path {
			return unsupported(field, "another container has something else there, and host processes share this machine's files")
		}
	}
	if mnt.Path != mnt.Real {
		if !b.placeable(mnt.Path) {
			return b.notPlaceable(field, m.Path)
		}
		pl.Links = append(pl.Links, mnt)
	}
	if m.SubPath != "" && slices.Contains(pl.volumes, from) {
		pl.volumes = append(pl.volumes, mnt.Real)
	}
	pl.Mounts = append(pl.Mounts, mnt)
	return nil
}

// locate returns the place on this machine that a path of the pod stands for,
// and the mount it lies in.
func (s *spec) locate(path string) (in bind, ok bool) {
	for _, m := range s.Mounts {
		if within(m.Path, path) && len(m.Path) >= len(in.Path) {
			in, ok = m, true
		}
	}
	return in, ok
}

func (b *Backend) stored(digest string) (string, error) {
	if b.cfg.Store == nil {
		return "", fmt.Errorf("%s: %w: this backend has no artifact store", digest, fs.ErrNotExist)
	}
	path, err := b.cfg.Store.Path(digest)
	if err != nil {
		return "", err
	}
	return filepath.Clean(path), nil
}

// place makes the symbolic link l. One that no running pod needs gives way; an
// empty directory too. keep: what is there already may stay.
func (b *Backend) place(l bind, keep bool) error {
	if err := b.makeParents(filepath.Dir(l.Path)); err != nil {
		return err
	}
	for range 3 {
		err := os.Symlink(l.Real, l.Path)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return err
		}
		there, err := os.Readlink(l.Path)
		if err == nil {
			if there == l.Real {
				return nil
			}
			if pod := b.claimant(l.Path); pod != "" {
				return fmt.Errorf("place %s: pod %q has something else there", l.Path, pod)
			}
		} else if keep {
			return nil
		}
		// Fails unless it is a link or an empty directory.
		if err := os.Remove(l.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("place %s: %w", l.Path, err)
		}
	}
	return fmt.Errorf("place %s: others place something there too", l.Path)
}

// makeParents makes dir. A link on its way into the volume of a pod that has
// ended becomes a directory, because it will vanish with that pod.
func (b *Backend) makeParents(dir string) error {
	for at := dir; len(at) > len(b.cfg.Dir); at = filepath.Dir(at) {
		to, err := os.Readlink(at)
		if err != nil || !within(b.work(), to) {
			continue
		}
		rel, _ := filepath.Rel(b.work(), to)
		name, _, _ := strings.Cut(rel, "/")
		if st, err := b.pod(name).look(); err == nil && (st.phase == runner.PhaseEnded || st.phase == runner.PhaseGone) {
			if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("clear the link of pod %q: %w", name, err)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the place of a mount: %w", err)
	}
	return nil
}

// claimant returns a running pod that has something at path, if there is one.
func (b *Backend) claimant(path string) string {
	entries, _ := os.ReadDir(b.live())
	for _, e := range entries {
		d := b.pod(e.Name())
		s, err := d.readSpec()
		at := func(l bind) bool { return l.Path == path }
		if err != nil || !slices.ContainsFunc(s.Links, at) && !slices.ContainsFunc(s.Inputs, at) {
			continue
		}
		if st, err := d.look(); err == nil && st.phase == runner.PhaseRunning {
			return e.Name()
		}
	}
	return ""
}

// copyTree copies what lies in from over what lies in to. Copies can be written
// to by their owner, whatever the store's modes are.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			if info, err := os.Lstat(at); err == nil && !info.IsDir() {
				if err := os.Remove(at); err != nil {
					return err
				}
			}
			return os.MkdirAll(at, 0o755)
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if err := os.RemoveAll(at); err != nil {
				return err
			}
			return os.Symlink(target, at)
		case e.Type().IsRegular():
			return filetree.Copy(path, at, func(m fs.FileMode) fs.FileMode { return m.Perm() | 0o200 })
		}
		return fmt.Errorf("copy %s: it is neither file, directory nor link", path)
	})
}
