package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/filetree"
)

// filesName stands for the folder of a bundle's files, wherever that is.
const filesName = "wherry-files:"

// bundleFiles is the folder of a bundle's files while it is made: what lies at or
// below base on this machine keeps its place, so that relative paths mean the same;
// all else goes below ".outside".
type bundleFiles struct {
	dir     string // where it is made
	base    string
	outside []string          // what lies elsewhere, in order
	secrets []given.Ref       // never in it
	pinned  map[string]string // ids of images that are named by their digest, by that name
	needs   []string          // what is not in it, for people
}

// need notes what a person must bring along.
func (b *bundleFiles) need(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.needs, text) {
		b.needs = append(b.needs, text)
	}
}

// place returns where path goes, relative to the folder.
func (b *bundleFiles) place(path string) string {
	if rel, ok := below(path, b.base); ok {
		return rel
	}
	i := slices.Index(b.outside, path)
	if i < 0 {
		i = len(b.outside)
		b.outside = append(b.outside, path)
	}
	return filepath.Join(".outside", fmt.Sprintf("%d-%s", i, filepath.Base(path)))
}

// leaving is a path of this machine as a bundle names it, where its file is in it.
func (b *bundleFiles) leaving(path string) string {
	for _, o := range b.outside {
		if rel, ok := below(path, o); ok {
			return filesName + "/" + filepath.Join(b.place(o), rel)
		}
	}
	if rel, ok := below(path, b.base); ok {
		return filesName + "/" + rel
	}
	return path
}

// secret reports whether path is, or lies in, what a secret is made of.
func (b *bundleFiles) secret(path string) bool {
	return slices.ContainsFunc(b.secrets, func(r given.Ref) bool {
		_, ok := below(path, r.From)
		return filepath.IsAbs(r.From) && ok
	})
}

// copyTree copies the file or folder at from, which stands for the path original.
func (b *bundleFiles) copyTree(ctx context.Context, from, original string) error {
	at := filepath.Join(b.dir, b.place(original))
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(at, rel)
		name := filepath.Join(original, rel)
		switch {
		case b.secret(name):
			b.need("%s is a secret's, and not in the bundle", name)
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			return b.copyLink(path, to, name)
		case !d.Type().IsRegular():
			return nil
		}
		return copyPlain(path, to)
	})
}

// copyLink keeps a link, unless it leads out of the folder.
func (b *bundleFiles) copyLink(from, to, name string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if _, inside := below(filepath.Join(filepath.Dir(to), target), b.dir); filepath.IsAbs(target) || !inside {
		b.need("%s is a link to %s, outside of what is bundled", name, target)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	err = os.Symlink(target, to)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// copyPlain copies a file with its executable bit.
func copyPlain(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return filetree.Copy(from, to, func(m fs.FileMode) fs.FileMode {
		if m&0o100 != 0 {
			return 0o755
		}
		return 0o644
	})
}

// write writes a file that wherry makes, beside the one at original.
func (b *bundleFiles) write(original string, text []byte) error {
	to := filepath.Join(b.dir, b.place(original))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// collectFiles puts together in b.dir what a run reads of this machine.
func (g *globals) collectFiles(ctx context.Context, b *bundleFiles, run *dag.Run, l *loaded, proj *project) error {
	file := run.Pipeline.File
	for i := range run.Options.Mounts {
		if err := g.collectMount(ctx, b, &run.Options.Mounts[i]); err != nil {
			return err
		}
	}
	var folders []string
	for _, name := range sortedNames(run.Options.Images) {
		if build := run.Options.Images[name].Build; build != nil && build.Context != "" {
			folders = append(folders, build.Context)
		}
	}
	for _, r := range run.Options.ConfigMaps {
		folders = append(folders, r.From)
	}
	for _, x := range proj.Build {
		folders = append(folders, x.Context, x.Requirements.File)
	}
	folders = append(folders, run.Options.Trust, file)
	folders = append(folders, b.imports(run)...)
	slices.Sort(folders)
	for _, from := range slices.Compact(folders) {
		if _, err := os.Stat(from); !filepath.IsAbs(from) || err != nil {
			continue
		}
		if err := b.copyTree(ctx, from, from); err != nil {
			return err
		}
	}
	if l != nil && isPython(file) {
		if err := b.write(compiledName(file), l.file.Text); err != nil {
			return err
		}
	}
	if proj.File == "" && len(b.pinned) == 0 {
		return nil
	}
	at := cmp.Or(proj.File, filepath.Join(filepath.Dir(file), projectFile))
	text, err := b.projectText(at)
	if err != nil {
		return err
	}
	return b.write(at, text)
}

// compiledName is where the compiled form of a Python file goes.
func compiledName(file string) string { return file + ".yaml" }

// baseFolder is the folder that keeps its form: that of the pipeline and wherry.yaml,
// or one above it that holds all that lies near.
func baseFolder(file string, proj *project, run *dag.Run) string {
	base := filepath.Dir(file)
	if proj.File != "" {
		base = filepath.Dir(proj.File)
	}
	near := filepath.Dir(base) // a neighbour, as in ../src
	if strings.Count(near, "/") < 2 {
		return base
	}
	paths := []string{file}
	for _, m := range run.Options.Mounts {
		paths = append(paths, m.Source)
	}
	for _, x := range proj.Build {
		paths = append(paths, x.Context, x.Requirements.File)
	}
	for _, p := range paths {
		_, inBase := below(p, base)
		if _, ok := below(p, near); ok && !inBase {
			return near
		}
	}
	return base
}

// collectMount takes a read-only mount as it was when the run was made; one that is
// written to is an empty folder in the bundle.
func (g *globals) collectMount(ctx context.Context, b *bundleFiles, m *dag.Mount) error {
	if !m.ReadOnly {
		b.need("%s is written to by the steps: its content is not in the bundle", m.Source)
		return os.MkdirAll(filepath.Join(b.dir, b.place(m.Source)), 0o755)
	}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	from, err := store.Path(m.Digest)
	if err != nil {
		b.need("%s is no longer known as it was in the run: it is bundled as it is now", m.Source)
		from = m.Source
	}
	return b.copyTree(ctx, from, m.Source)
}

// imports are the files of this machine that importers name in the pipeline.
func (b *bundleFiles) imports(run *dag.Run) (paths []string) {
	for _, name := range sortedNames(run.Pipeline.Components) {
		spec := run.Pipeline.Components[name].Importer
		if spec == nil || spec.URI == nil || spec.URI.Constant == nil {
			continue
		}
		uri, _ := spec.URI.Constant.Value.(string)
		switch {
		case uri == "" || strings.Contains(uri, "://") && !strings.HasPrefix(uri, "file://"):
		case strings.HasPrefix(uri, "file://") || filepath.IsAbs(uri):
			b.need("%s is imported by its absolute path: it must be at the same place there", uri)
		default:
			paths = append(paths, filepath.Join(filepath.Dir(run.Pipeline.File), uri))
		}
	}
	return paths
}
