package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// homeName stands for WHERRY_HOME in a bundle, wherever that is.
const homeName = "wherry-home:"

// below returns path seen from dir, where it lies in it.
func below(path, dir string) (string, bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && filepath.IsLocal(rel)
}

// leaving translates an artifact's place for a bundle.
func (g *globals) leaving(uri string, files *bundleFiles) string {
	if !filepath.IsAbs(uri) {
		return uri
	}
	if rel, ok := below(uri, filepath.Join(g.Home, "runs")); ok {
		return homeName + "/runs/" + rel
	}
	return files.leaving(uri)
}

// arriving is the way back.
func (g *globals) arriving(uri, folder string) string {
	if rest, ok := strings.CutPrefix(uri, homeName+"/runs/"); ok && filepath.IsLocal(rest) {
		return filepath.Join(g.Home, "runs", rest)
	}
	if rest, ok := strings.CutPrefix(uri, filesName); ok && (rest == "" || filepath.IsLocal(strings.TrimPrefix(rest, "/"))) {
		return filepath.Join(folder, rest)
	}
	return uri
}

// leavingPlaces translate the paths of a run for a bundle. Of a secret its name stays, and
// a variable's.
func (g *globals) leavingPlaces(b *bundleFiles) func(o *dag.RunOptions, p *dag.Pipeline) {
	return func(o *dag.RunOptions, p *dag.Pipeline) {
		translateRun(o, p, func(path string) string { return g.leaving(path, b) })
		o.Secrets = slices.Clone(o.Secrets)
		for i, r := range o.Secrets {
			if !strings.HasPrefix(r.From, "env:") {
				o.Secrets[i].From = filesName + "/secret"
			}
		}
	}
}

// translateRun replaces the paths of this machine in what a run was given.
func translateRun(o *dag.RunOptions, p *dag.Pipeline, to func(string) string) {
	p.File, o.Trust, o.Workspace, o.Imports = to(p.File), to(o.Trust), to(o.Workspace), to(o.Imports)
	o.Watch, o.Experiment = "", "" // of one home
	for i := range o.Mounts {
		o.Mounts[i].Source = to(o.Mounts[i].Source)
	}
	for i := range o.Secrets {
		o.Secrets[i].From = to(o.Secrets[i].From)
	}
	for i := range o.ConfigMaps {
		o.ConfigMaps[i].From = to(o.ConfigMaps[i].From)
	}
	for name, a := range o.Images {
		if a.Build != nil {
			spec := *a.Build
			spec.Context, spec.CABundle = to(spec.Context), to(spec.CABundle)
			a.Build = &spec
			o.Images[name] = a
		}
	}
}
