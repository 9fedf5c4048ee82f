package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
)

// watchEntry is one of watch in wherry.yaml: what `wherry run FILE --watch` is told by
// flags. The name of a file alone is an entry too. Its paths are relative to wherry.yaml.
type watchEntry struct {
	File        string         `yaml:"file"`
	Name        string         `yaml:"name"`
	Params      map[string]any `yaml:"params"`
	ParamsFile  string         `yaml:"paramsFile"`
	Mounts      []yaml.Node    `yaml:"mounts"`
	Backend     string         `yaml:"backend"`
	Platform    string         `yaml:"platform"`
	Network     string         `yaml:"network"`
	MaxParallel int            `yaml:"maxParallel"`
	Cache       bool           `yaml:"cache"`
	NoCache     taskNames      `yaml:"noCache"`
	NoLayers    bool           `yaml:"noLayers"`
	Pipeline    string         `yaml:"pipeline"`
	Component   string         `yaml:"component"`

	At  source.Pos            `yaml:",pos"`
	Pos map[string]source.Pos `yaml:",posof"`

	flags runFlags // what all of it means
}

// watchEntries are the entries of watch. A list of its own type, since an entry may be
// text.
type watchEntries []watchEntry

// UnmarshalSource implements source.Unmarshaler.
func (l *watchEntries) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return d.Errorf(n, `"watch" must be a list`).WithMend("watch: [pipeline.yaml]")
	}
	for _, item := range n.Content {
		e := watchEntry{}
		if item.Kind == yaml.ScalarNode && item.Tag != "!!null" {
			e.File = item.Value
		} else if err := d.Decode(item, &e); err != nil {
			return err
		}
		e.At = source.PosOf(item)
		*l = append(*l, e)
	}
	return nil
}

// taskNames are tasks, or all.
type taskNames struct {
	All   bool
	Names []string
}

// UnmarshalSource implements source.Unmarshaler.
func (t *taskNames) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	switch {
	case n.Kind != yaml.ScalarNode:
		return d.Decode(n, &t.Names)
	case n.Tag == "!!str":
		t.Names = []string{n.Value}
		return nil
	}
	return d.Decode(n, &t.All)
}

// posOf is the position of a field's value.
func (e *watchEntry) posOf(field string) source.Pos {
	if pos, ok := e.Pos[field]; ok {
		return pos
	}
	return e.At
}

// complete checks the entry and turns it into flags. Whether its files are there is for
// who watches them: other pipelines of the project can run without.
func (e *watchEntry) complete(f *source.File, base string) error {
	if e.File == "" {
		return f.Errorf(e.At, "watch: an entry needs the file that is to be run").WithMend("watch: [pipeline.yaml], or - file: pipeline.yaml")
	}
	e.flags = runFlags{
		file: relativeTo(base, e.File), name: e.Name, base: base, values: e.Params, platform: e.Platform, backend: "docker", network: "on",
		maxParallel: e.MaxParallel, noLayers: e.NoLayers, python: pythonFlags{pipeline: e.Pipeline, component: e.Component},
		cache: cacheFlags{on: e.Cache, off: e.NoCache.All, tasks: e.NoCache.Names}, watch: true,
	}
	e.flags.watchKey = e.flags.file
	if e.Name != "" {
		e.flags.watchKey += "#" + e.Name
	}
	if e.ParamsFile != "" {
		e.flags.paramsFile = relativeTo(base, e.ParamsFile)
	}
	if e.Backend != "" {
		e.flags.backend = e.Backend
	}
	if e.Network != "" {
		e.flags.network = e.Network
	}
	switch {
	case !slices.Contains(backendNames, e.flags.backend):
		return f.Errorf(e.posOf("backend"), "watch: unknown backend %q", e.Backend).WithMend("backend: %s", strings.Join(backendNames, " or "))
	case e.flags.network != "on" && e.flags.network != "none":
		return f.Errorf(e.posOf("network"), "watch: unknown network mode %q", e.Network).WithMend(`network: "on" or none`)
	case e.MaxParallel < 0:
		return f.Errorf(e.posOf("maxParallel"), "watch: maxParallel must be 0 or more")
	case e.Cache && e.NoCache.All:
		return f.Errorf(e.posOf("noCache"), "watch: cache and noCache exclude each other")
	}
	if err := checkRunName(e.Name); err != nil {
		return f.Errorf(e.posOf("name"), "watch: %s", strings.TrimPrefix(err.Error(), "--"))
	}
	if err := e.flags.python.check(e.File); err != nil {
		return f.Errorf(e.At, "watch: %v", err)
	}
	for i := range e.Mounts {
		n := &e.Mounts[i]
		if n.Kind != yaml.ScalarNode {
			return f.Errorf(source.PosOf(n), "a mount is text: SOURCE:TARGET[:ro]")
		}
		e.flags.mounts = append(e.flags.mounts, n.Value)
	}
	return nil
}

// completeWatches checks all entries: one file may be watched twice under two names.
func (p *project) completeWatches(f *source.File, base string) error {
	seen := map[string]bool{}
	for i := range p.Watch {
		e := &p.Watch[i]
		if err := e.complete(f, base); err != nil {
			return err
		}
		if seen[e.flags.watchKey] {
			return f.Errorf(e.At, "watch: %s is named twice", e.File).WithMend("give one of them a name: {file: %s, name: other}", e.File)
		}
		seen[e.flags.watchKey] = true
	}
	return nil
}

// checkWatched refuses entries whose files are not there. Errors have positions.
func (p *project) checkWatched() error {
	if len(p.Watch) == 0 {
		return nil
	}
	f, err := source.Read(p.File)
	if err != nil {
		return err
	}
	f.Name = relativeName(p.File)
	for i := range p.Watch {
		e := &p.Watch[i]
		for _, want := range []struct{ field, path string }{{"file", e.flags.file}, {"paramsFile", e.flags.paramsFile}} {
			if want.path == "" {
				continue
			}
			info, err := os.Stat(want.path)
			if err == nil && info.IsDir() {
				err = fmt.Errorf("is a folder")
			}
			if err != nil {
				return f.Errorf(e.posOf(want.field), "watch: %s: %v", want.path, pathCause(err)).WithMend("name a file that exists; a relative path is relative to %s", filepath.Base(p.File))
			}
		}
		for k, text := range e.flags.mounts {
			if _, err := parseMount(e.flags.base, text); err != nil {
				return f.Errorf(source.PosOf(&e.Mounts[k]), "watch: mounts: %s", err).WithMend("%s", hintOf(err))
			}
		}
	}
	return nil
}
