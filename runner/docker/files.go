package docker

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/docker/docker/api/types/mount"

	"github.com/wherry-ml/wherry/runner"
)

// caPath is where a container finds the bundle of Config.CABundle.
const caPath = "/etc/wherry/ca.pem"

// fileMode is how files come to a container and back.
type fileMode struct {
	// bind: inputs, trees and host volumes are mounted from this machine,
	// read-only; else they are copied into the container before it starts.
	bind bool
	// own: scratch volumes are directories of this machine, and outputs are
	// handed on where they lie. It needs the right to delete what any uid of a
	// container may have written, which only root has. Else scratch volumes live
	// in the container or in volumes of the engine, and outputs are copied.
	own bool
}

func (b *Backend) fileMode(e *engine) fileMode {
	m := fileMode{bind: e.end.local() && !b.cfg.Copy}
	m.own = m.bind && (os.Geteuid() == 0 && e.native || runtime.GOOS == "darwin")
	return m
}

// filePlan says how the files of one container are brought there.
type filePlan struct {
	dirs   []string      // made on this machine before the container is created
	fills  []fill        // copied on this machine between create and start
	stubs  []stub        // made on this machine after that
	mounts []mount.Mount // of the container
	copies []fill        // put into the container between create and start
}

// fill is a file or directory to copy to dst, or with no src what to make there:
// files, a symbolic link, or a directory. What is open can be written by any uid.
type fill struct {
	src, dst string
	open     bool
	link     string
	files    map[string]runner.File
}

// stub is a mount point in a scratch directory: the engine would make it as
// root, and leave it there.
type stub struct {
	root, rel string
	dir       bool
}

// planner plans the files of a pod's containers, one after the other.
type planner struct {
	pod    runner.Pod
	mode   fileMode
	work   string // Backend.workDir
	store  runner.Store
	ca     string
	uses   map[string]int  // mounts per volume, in all containers
	filled map[string]bool // scratch volumes that a container before fills
}

func (b *Backend) planner(p runner.Pod, mode fileMode) *planner {
	pl := &planner{
		pod: p, mode: mode, work: b.workDir(p.Name), store: b.cfg.Store, ca: b.cfg.CABundle,
		uses: map[string]int{}, filled: map[string]bool{},
	}
	for _, c := range p.Containers {
		for _, m := range c.Mounts {
			pl.uses[m.Volume]++
		}
	}
	return pl
}

// scratchDir is where a scratch volume lies on this machine.
func (pl *planner) scratchDir(volume int) string {
	return filepath.Join(pl.work, "volumes", fmt.Sprintf("v%d", volume))
}

// inContainer reports whether a scratch volume needs no more than a directory
// in its only container.
func (pl *planner) inContainer(v runner.Volume) bool {
	return len(pl.pod.Containers) == 1 && pl.uses[v.Name] == 1
}

func (pl *planner) volume(name string) (int, runner.Volume) {
	for i, v := range pl.pod.Volumes {
		if v.Name == name {
			return i, v
		}
	}
	return -1, runner.Volume{}
}

// plan plans one container's files.
func (pl *planner) plan(c runner.Container) (filePlan, error) {
	var f filePlan
	for _, m := range c.Mounts {
		if err := pl.addMount(&f, m); err != nil {
			return f, err
		}
	}
	for _, in := range pl.pod.Inputs {
		src, err := pl.store.Path(in.Digest)
		if err != nil {
			return f, fmt.Errorf("input %s for %s: %w", in.Digest, in.Path, err)
		}
		pl.addSource(&f, src, in.Path)
	}
	if pl.ca != "" {
		pl.addSource(&f, pl.ca, caPath)
	}
	return f, pl.addStubs(&f, c)
}

func (pl *planner) addMount(f *filePlan, m runner.Mount) error {
	i, v := pl.volume(m.Volume)
	switch {
	case i < 0:
		return fmt.Errorf("mount %s: the pod has no volume %q", m.Path, m.Volume)
	case v.Memory:
		return pl.addMemory(f, i, v, m)
	case v.Scratch:
		return pl.addScratch(f, i, v, m)
	case v.Files != nil:
		return pl.addFiles(f, v, m)
	case v.Named != "":
		return pl.addNamed(f, v, m)
	case v.Tree != "":
		src, err := pl.store.Path(v.Tree)
		if err != nil {
			return fmt.Errorf("volume %q: %w", v.Name, err)
		}
		if src, err = subPath(src, m.SubPath); err == nil {
			pl.addSource(f, src, m.Path)
		}
		return err
	case v.Host != "":
		return pl.addHost(f, v, m)
	}
	return fmt.Errorf("volume %q is neither scratch, files, named, host nor tree", v.Name)
}

// subPath is a place in a directory of this machine, also after its symbolic
// links have been followed.
func subPath(dir, sub string) (string, error) {
	if sub == "" {
		return dir, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Stat(sub); err != nil {
		return "", err
	}
	return filepath.Join(dir, sub), nil
}

func (pl *planner) addScratch(f *filePlan, i int, v runner.Volume, m runner.Mount) error {
	if m.SubPath != "" && !filepath.IsLocal(m.SubPath) {
		return fmt.Errorf("mount %s: sub-path %q leaves the volume", m.Path, m.SubPath)
	}
	switch {
	case pl.mode.own:
		dir := pl.scratchDir(i)
		f.dirs = append(f.dirs, dir)
		fills, err := pl.seeds(v, dir, "")
		if err != nil {
			return err
		}
		f.fills = append(f.fills, fills...)
		if m.SubPath != "" {
			dir = filepath.Join(dir, m.SubPath)
			f.dirs = append(f.dirs, dir)
		}
		f.mounts = append(f.mounts, bind(dir, m.Path, m.ReadOnly))
		return nil
	case pl.inContainer(v):
		f.copies = append(f.copies, fill{dst: m.Path, open: true})
		fills, err := pl.seeds(v, m.Path, m.SubPath)
		f.copies = append(f.copies, fills...)
		return err
	case m.SubPath != "":
		return unsupported("mounts[].subPath", "scratch volume %q is one of the engine here, which mounts them whole", m.Volume)
	}
	f.mounts = append(f.mounts, pl.engineVolume(fmt.Sprintf("%s-v%d", pl.pod.Name, i), m))
	if pl.filled[v.Name] || m.ReadOnly {
		return nil
	}
	pl.filled[v.Name] = true
	f.copies = append(f.copies, fill{dst: m.Path, open: true})
	fills, err := pl.seeds(v, m.Path, "")
	f.copies = append(f.copies, fills...)
	return err
}

// seeds are the copies that fill a scratch volume, once.
func (pl *planner) seeds(v runner.Volume, dst, sub string) ([]fill, error) {
	if pl.mode.own {
		if pl.filled[v.Name] {
			return nil, nil
		}
		pl.filled[v.Name] = true
	}
	var fills []fill
	for _, digest := range v.Seed {
		src, err := pl.store.Path(digest)
		if err != nil {
			return nil, fmt.Errorf("seed of volume %q: %w", v.Name, err)
		}
		if src, err = subPath(src, sub); os.IsNotExist(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		fills = append(fills, fill{src: src, dst: dst, open: true})
	}
	return fills, nil
}

// engineVolume mounts a volume of the engine, which makes it when it is not
// there.
func (pl *planner) engineVolume(name string, m runner.Mount) mount.Mount {
	labels := map[string]string{runner.LabelHome: pl.pod.Labels[runner.LabelHome]}
	if strings.HasPrefix(name, pl.pod.Name+"-") {
		labels[runner.LabelPod] = pl.pod.Name
	}
	return mount.Mount{
		Type: mount.TypeVolume, Source: name, Target: m.Path, ReadOnly: m.ReadOnly,
		VolumeOptions: &mount.VolumeOptions{Labels: labels},
	}
}

// addSource brings a read-only file or directory of this machine.
func (pl *planner) addSource(f *filePlan, src, dst string) {
	if pl.mode.bind {
		f.mounts = append(f.mounts, bind(src, dst, true))
		return
	}
	f.copies = append(f.copies, fill{src: src, dst: dst})
}

func (pl *planner) addHost(f *filePlan, v runner.Volume, m runner.Mount) error {
	if !filepath.IsAbs(v.Host) {
		return fmt.Errorf("volume %q: host path %q is not absolute", v.Name, v.Host)
	}
	src, err := subPath(v.Host, m.SubPath)
	if err != nil {
		return err
	}
	if _, err := os.Stat(src); err != nil {
		return fmt.Errorf("volume %q: %w", v.Name, err)
	}
	if !pl.mode.bind && v.Live {
		return unsupported("volumes[].live", "%s is on this machine and the engine is not: it can't be mounted there as it is; leave out live, and a snapshot of it is copied there (:ro)", v.Host)
	}
	if !pl.mode.bind && !m.ReadOnly {
		return unsupported("volumes[].host", "%s is on this machine and the engine is not, so it can be copied there (:ro) but not be written to", v.Host)
	}
	if pl.mode.bind {
		f.mounts = append(f.mounts, bind(src, m.Path, m.ReadOnly))
	} else {
		f.copies = append(f.copies, fill{src: src, dst: m.Path})
	}
	return nil
}

// addStubs lists the mount points that lie in scratch directories, and refuses
// those that would have to be made in something read-only.
func (pl *planner) addStubs(f *filePlan, c runner.Container) error {
	for _, inner := range f.mounts {
		outer, ok := covering(f.mounts, inner.Target)
		if !ok || outer.Type != mount.TypeBind {
			continue
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(path.Clean(inner.Target), path.Clean(outer.Target)), "/")
		dir := inner.Type != mount.TypeBind || isDir(inner.Source)
		if pl.mode.own && strings.HasPrefix(outer.Source, pl.work+string(filepath.Separator)) {
			f.stubs = append(f.stubs, stub{root: outer.Source, rel: rel, dir: dir || strings.HasPrefix(inner.Source, pl.work)})
			continue
		}
		if _, err := os.Lstat(filepath.Join(outer.Source, rel)); outer.ReadOnly && os.IsNotExist(err) {
			return unsupported("mounts[].path", "%s of container %q lies in %s, which is read-only and has no such place", inner.Target, c.Name, outer.Target)
		}
	}
	return nil
}

// covering returns the innermost mount that target lies in, other than its own.
func covering(mounts []mount.Mount, target string) (best mount.Mount, ok bool) {
	for _, m := range mounts {
		if inside(m.Target, target) && path.Clean(m.Target) != path.Clean(target) && len(m.Target) >= len(best.Target) {
			best, ok = m, true
		}
	}
	return best, ok
}

// inside reports whether p is dir or lies in it.
func inside(dir, p string) bool {
	dir, p = path.Clean(dir), path.Clean(p)
	return dir == p || dir == "/" || strings.HasPrefix(p, dir+"/")
}

func bind(src, dst string, readOnly bool) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: src, Target: dst, ReadOnly: readOnly}
}

// make makes the directories that mounts need, each writable by any uid.
func (f *filePlan) make() error {
	for _, dir := range f.dirs {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o777); err != nil && !os.IsExist(err) {
			return err
		}
		if err := os.Chmod(dir, 0o777); err != nil { // Mkdir honours the umask
			return err
		}
	}
	return nil
}

// fill copies the seeds and makes the mount points of scratch directories.
func (f *filePlan) fill() error {
	for _, x := range f.fills {
		if err := copyTree(x.src, x.dst); err != nil {
			return fmt.Errorf("copy %s: %w", x.src, err)
		}
	}
	for _, s := range f.stubs {
		if err := s.make(); err != nil {
			return fmt.Errorf("make mount point %s: %w", s.rel, err)
		}
	}
	return nil
}

func (s stub) make() error {
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat(s.rel); err == nil {
		return nil
	}
	dir := s.rel
	if !s.dir {
		dir = path.Dir(s.rel)
	}
	for i := range dir + "/" {
		if (dir + "/")[i] != '/' || dir == "." {
			continue
		}
		err := root.Mkdir(dir[:i], 0o777)
		if err == nil {
			err = root.Chmod(dir[:i], 0o777) // whatever the umask
		}
		if err != nil && !os.IsExist(err) {
			return err
		}
	}
	if s.dir {
		return nil
	}
	file, err := root.OpenFile(s.rel, os.O_CREATE|os.O_WRONLY, fs.FileMode(0o666))
	if err != nil {
		return err
	}
	return file.Close()
}
