package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/watch"
)

// targets lists what is watched: all that a run is made of, as far as the last look at
// it went. Never a writable mount or WHERRY_HOME, which runs change themselves, and
// never a secret.
func (s *watching) targets() []watch.Target {
	t := &targetList{home: s.Home}
	t.file(s.f.file)
	proj, err := findProject(filepath.Dir(s.f.file))
	if err != nil || proj.File == "" {
		t.file(filepath.Join(filepath.Dir(s.f.file), projectFile)) // one may come, or be mended
	}
	if err != nil {
		proj = &project{}
	}
	t.file(proj.File)
	t.file(s.f.paramsFile)
	t.files(s.reads)
	options, _, err := runOptions(s.f, proj)
	if s.job != nil {
		if err != nil {
			options = s.job.run.Options
		}
		t.files(dag.LocalImports(s.job.run))
		for _, path := range dag.SearchFiles(s.job.pipeline) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				t.file(path)
			}
		}
		t.builds(s.job, proj)
	}
	for _, m := range options.Mounts {
		if m.ReadOnly {
			t.file(m.Source)
		} else {
			t.written = append(t.written, physical(m.Source))
		}
	}
	for _, c := range options.ConfigMaps {
		if filepath.IsAbs(c.From) {
			t.file(c.From)
		}
	}
	return t.done()
}

// targetList collects targets.
type targetList struct {
	home    string
	written []string // where runs write, without symbolic links
	list    []watch.Target
}

func (t *targetList) files(paths []string) {
	for _, p := range paths {
		t.file(p)
	}
}

// file adds a file or folder; "" is none.
func (t *targetList) file(path string) { t.add(watch.Target{Path: path}) }

// add adds a target. Of one that is there already, that counts which either counts.
func (t *targetList) add(target watch.Target) {
	abs, err := filepath.Abs(target.Path)
	if target.Path == "" || err != nil {
		return
	}
	target.Path = abs
	i := slices.IndexFunc(t.list, func(o watch.Target) bool { return o.Path == abs })
	if i < 0 {
		t.list = append(t.list, target)
		return
	}
	have := &t.list[i]
	one, other := have.Skip, target.Skip
	if one == nil || other == nil {
		have.Skip, have.Rules = nil, ""
		return
	}
	have.Skip = func(rel string, dir bool) bool { return one(rel, dir) && other(rel, dir) }
	have.Rules += "\nand " + target.Rules
}

// builds adds what images of the pipeline are built from.
func (t *targetList) builds(j *job, proj *project) {
	for _, name := range sortedNames(j.run.Options.Images) {
		_, b := proj.image(name)
		if b == nil {
			continue
		}
		t.file(b.Requirements.File)
		if b.Context != "" {
			t.add(buildContext(b.Context, cmp.Or(b.Dockerfile, "Dockerfile")))
		}
	}
}

// buildContext is the folder that an image is built from, without what its
// .dockerignore leaves out.
func buildContext(dir, dockerfile string) watch.Target {
	rules, _ := os.ReadFile(filepath.Join(dir, ".dockerignore")) // first: if it is saved now, it differs the next time
	skip, _ := dockerIgnored(dir, dockerfile)                    // the build says what is wrong with it
	return watch.Target{Path: dir, Skip: skip, Rules: dockerfile + "\n" + string(rules)}
}

// done returns the targets without what runs write themselves.
func (t *targetList) done() []watch.Target {
	never := append(t.written, physical(t.home))
	var out []watch.Target
	for _, target := range t.list {
		real := physical(target.Path)
		inside := func(path string) bool {
			for _, w := range never {
				if path == w || strings.HasPrefix(path, w+"/") {
					return true
				}
			}
			return false
		}
		if inside(real) {
			continue
		}
		for _, path := range never {
			if strings.HasPrefix(path, real+"/") {
				target.Rules += "\nnever " + path
			}
		}
		skip := target.Skip
		target.Skip = func(rel string, dir bool) bool {
			return inside(filepath.Join(real, rel)) || skip != nil && skip(rel, dir)
		}
		out = append(out, target)
	}
	return out
}

// physical is path without symbolic links, as far as that can be known.
func physical(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
