package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/mount"

	"github.com/wherry-ml/wherry/runner"
)

// addFiles brings a pod's own files to each container that mounts them, in a
// volume without a name: the engine deletes it with the container, and it hides what
// the image has there. Until then the files, secrets too, lie on the engine's disk,
// where its administrator can read them; WHERRY_HOME never has them.
func (pl *planner) addFiles(f *filePlan, v runner.Volume, m runner.Mount) error {
	if m.SubPath != "" {
		return unsupported("mounts[].subPath", "volume %q holds a pod's own files, which are mounted whole", m.Volume)
	}
	for name := range v.Files {
		if !filepath.IsLocal(name) || name == "." {
			return fmt.Errorf("volume %q: %q is not the name of a file in it", v.Name, name)
		}
	}
	m.ReadOnly = false // the engine couldn't fill it
	mnt := pl.engineVolume("", m)
	mnt.VolumeOptions.NoCopy = true
	mnt.VolumeOptions.Labels[runner.LabelPod] = pl.pod.Name // so that also a lone one is found
	f.mounts = append(f.mounts, mnt)
	f.copies = append(f.copies, fill{dst: m.Path, files: v.Files})
	return nil
}

// addMemory mounts a scratch volume that is kept in memory: a volume of the engine,
// because what an engine mounts as tmpfs by itself can't be shared and has noexec.
func (pl *planner) addMemory(f *filePlan, i int, v runner.Volume, m runner.Mount) error {
	switch {
	case len(v.Seed) > 0:
		return unsupported("volumes[].seed", "volume %q is kept in memory, and starts empty", m.Volume)
	case m.SubPath != "":
		return unsupported("mounts[].subPath", "volume %q is kept in memory, and mounted whole", m.Volume)
	}
	f.mounts = append(f.mounts, pl.memory(i, v, m))
	return nil
}

func (pl *planner) memory(i int, v runner.Volume, m runner.Mount) mount.Mount {
	mnt := pl.engineVolume(fmt.Sprintf("%s-v%d", pl.pod.Name, i), m)
	options := "mode=1777"
	if v.Size > 0 {
		options += ",size=" + strconv.FormatInt(v.Size, 10)
	}
	mnt.VolumeOptions.DriverConfig = &mount.Driver{
		Name: "local", Options: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": options},
	}
	return mnt
}

// held are the mounts of a pod's holder: an engine forgets what is in memory when
// no container has it mounted, as between an init container and the next.
func (pl *planner) held() (mounts []mount.Mount) {
	for i, v := range pl.pod.Volumes {
		if v.Memory && !pl.inContainer(v) && pl.uses[v.Name] > 0 {
			at := fmt.Sprintf("/.wherry-held/v%d", i)
			mounts = append(mounts, pl.memory(i, v, runner.Mount{Path: at}))
		}
	}
	return mounts
}

// addNamed mounts a volume of the engine that outlives the pod. Each pod that can
// write to it opens it to every uid again: a new one belongs to root. Of a sub-path
// the container sees a link into the whole volume, because engines before Docker 26
// can't mount a part of one.
func (pl *planner) addNamed(f *filePlan, v runner.Volume, m runner.Mount) error {
	var links []fill
	at := m.Path
	if m.SubPath != "" {
		if !filepath.IsLocal(m.SubPath) {
			return fmt.Errorf("mount %s: sub-path %q leaves the volume", m.Path, m.SubPath)
		}
		m.Path = "/.wherry-volumes/" + v.Name
		sub := m.Path
		for _, name := range strings.Split(path.Clean(filepath.ToSlash(m.SubPath)), "/") {
			if sub = path.Join(sub, name); !m.ReadOnly {
				links = append(links, fill{dst: sub, open: true})
			}
		}
		links = append(links, fill{dst: at, link: sub})
	}
	if !slices.ContainsFunc(f.mounts, func(other mount.Mount) bool { return other.Target == m.Path }) {
		mnt := pl.engineVolume(v.Named, m)
		mnt.VolumeOptions.NoCopy = true // it starts empty, whatever the image has there
		f.mounts = append(f.mounts, mnt)
		if !m.ReadOnly {
			f.copies = append(f.copies, fill{dst: m.Path, open: true})
		}
	}
	f.copies = append(f.copies, links...)
	return nil
}

// writeFiles writes a pod's own files below base, for every uid to read.
func writeFiles(w *tar.Writer, base string, files map[string]runner.File) error {
	made := map[string]bool{}
	dir := func(name string) error {
		if made[name] {
			return nil
		}
		made[name] = true
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	}
	if err := dir(base); err != nil {
		return err
	}
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		name := path.Join(base, filepath.ToSlash(rel))
		for i := len(base) + 1; i < len(name); i++ {
			if name[i] == '/' {
				if err := dir(name[:i]); err != nil {
					return err
				}
			}
		}
		file := files[rel]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(filePerm(file)), Size: int64(len(file.Data))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(file.Data); err != nil {
			return err
		}
	}
	return nil
}

func filePerm(f runner.File) fs.FileMode {
	if f.Mode == 0 {
		return 0o444
	}
	return f.Mode.Perm()
}

// RemoveVolume deletes a named volume of the engine.
func (b *Backend) RemoveVolume(ctx context.Context, name string) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	err = e.VolumeRemove(ctx, name, false)
	if isNotFound(err) {
		return nil
	}
	return e.failed(err, "remove volume %s", name)
}
