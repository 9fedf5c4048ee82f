package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/bundle"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

// bundleSource finds the images, and says where all else comes from.
func (g *globals) bundleSource(ctx context.Context, b *bundled) (bundle.Source, error) {
	source := bundle.Source{}
	store, err := g.artifacts()
	if err != nil {
		return source, err
	}
	backend, err := g.trustingBackend(ctx, b.run.Options.Backend, b.run.Options.Trust)
	if err != nil {
		return source, err
	}
	source.Objects, source.Engine = store, carrier(backend)
	if source.Home, err = os.OpenRoot(g.Home); err != nil {
		return source, err
	}
	if source.Engine == nil {
		b.files.need("the %s backend has no images: what its steps run must be there", backend.Features().Name)
		return source, nil
	}
	if err := ping(ctx, backend); err != nil {
		return source, err
	}
	driver := &dag.Driver{Backend: backend, Artifacts: artifacts{store}, Home: g.Home, HomeID: g.homeID(), Observe: func(e dag.Event) {
		if e.Note != "" && (!e.Detail || g.Verbose) {
			g.note(e.Note)
		}
	}}
	set, err := driver.Images(ctx, b.run)
	if err != nil {
		return source, err
	}
	for _, im := range set.Images {
		b.plan.Images = append(b.plan.Images, bundle.Image{Name: im.Name, ID: im.Ref})
		if strings.Contains(im.Name, "@") { // an engine that did not pull it does not know it by that
			b.files.pinned[im.Name] = im.Ref
		}
	}
	b.images = set.Images
	for _, name := range set.Open {
		b.files.need("the image of %s is known only when it runs: it is not in the bundle", name)
	}
	for _, name := range set.Always {
		b.files.need("image %s has pull policy Always: without a network its steps fail", name)
	}
	return source, nil
}

// planRecords takes what the database knows.
func (g *globals) planRecords(ctx context.Context, b *bundled) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	places := sqlite.Places{URI: func(uri string) string { return g.leaving(uri, b.files) }, Run: g.leavingPlaces(b.files)}
	var records *sqlite.Records
	if b.stored {
		if records, err = db.ExportRun(ctx, b.run.ID, places); err == nil {
			b.plan.LogPaths = records.Logs()
			b.checkIdentities(records)
		}
	} else {
		records, err = g.importedBefore(ctx, db, b, places)
	}
	if err != nil {
		return err
	}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	for _, u := range records.Uses {
		if _, err := store.Path(u.Digest); errors.Is(err, fs.ErrNotExist) {
			b.files.need("artifact %s (%s) is gone from the artifact store: the step that made it runs again", u.Name, u.URI)
			continue
		}
		b.plan.Objects = append(b.plan.Objects, u.Digest)
	}
	b.plan.Rows, err = records.Encode()
	return err
}

// checkIdentities says which images of the run are not those that the bundle gets.
func (b *bundled) checkIdentities(records *sqlite.Records) {
	for _, id := range records.Images(b.run.ID) {
		if len(b.images) > 0 && !slices.ContainsFunc(b.images, func(im runner.Image) bool { return im.Identity == id }) {
			b.files.need("an image of the run (%s) is no longer what its name means here: the bundle has the new one, and its steps run again", id[:min(19, len(id))])
		}
	}
}

// importedBefore finds what a pipeline's importers fetch from elsewhere and have
// fetched before.
func (g *globals) importedBefore(ctx context.Context, db *sqlite.DB, b *bundled, places sqlite.Places) (*sqlite.Records, error) {
	var ids []int64
	var used []sqlite.UsedObject
	for _, name := range sortedNames(b.run.Pipeline.Components) {
		spec := b.run.Pipeline.Components[name].Importer
		if spec == nil || spec.URI == nil || spec.URI.Constant == nil {
			continue
		}
		uri, _ := spec.URI.Constant.Value.(string)
		if !dag.Fetchable(uri) {
			continue
		}
		known, err := db.ArtifactsAt(ctx, uri)
		if err != nil {
			return nil, err
		}
		if len(known) == 0 || known[0].Digest == "" {
			b.files.need("%s has not been fetched yet: run the pipeline once, and save the run", uri)
			continue
		}
		ids = append(ids, known[0].ID)
		used = append(used, sqlite.UsedObject{Digest: known[0].Digest, URI: uri, Name: name})
	}
	records, err := db.ExportArtifacts(ctx, ids, places)
	if records != nil {
		records.Uses = used
	}
	return records, err
}

// describe fills in what the document says of the run, and how it is started.
func (b *bundled) describe() {
	run, o := b.run, b.run.Options
	d := &b.plan.Document
	d.Pipeline, d.Backend, d.Platform = run.Pipeline.Name, o.Backend, o.Platform
	if b.stored {
		d.Run, d.RunName = run.ID, run.Name
	}
	given := map[string]bool{}
	for _, r := range o.Secrets {
		if !given[r.Name] {
			given[r.Name] = true
			b.files.need("secret %s is not in the bundle: give it with --secret %s=FILE, or where wherry.yaml says", r.Name, r.Name)
		}
	}
	d.Needs = b.files.needs
	if b.loaded == nil {
		return
	}
	file := run.Pipeline.File
	if isPython(file) {
		file = compiledName(file)
	}
	d.Start = append([]string{"{files}/" + b.files.place(file)}, b.startFlags()...)
}

// startFlags are what the person had given on the command line.
func (b *bundled) startFlags() (args []string) {
	run, o := b.run, b.run.Options
	defaults, err := bindParameters(b.loaded.pipeline, runFlags{}, b.project)
	for _, name := range sortedNames(run.Parameters) {
		if err != nil || !reflect.DeepEqual(defaults[name], run.Parameters[name]) {
			args = append(args, "-p", name+"="+dag.FormatValue(run.Parameters[name]))
		}
	}
	for _, m := range o.Mounts {
		known := false
		for _, p := range b.project.Mounts {
			known = known || p.Source == m.Source && p.Target == m.Target && p.ReadOnly == m.ReadOnly && p.Live == m.Live
		}
		if !known {
			args = append(args, "-v", "{files}/"+b.files.place(m.Source)+":"+m.Target+m.Mode())
		}
	}
	for _, r := range o.ConfigMaps {
		if rest, ok := strings.CutPrefix(b.files.leaving(r.From), filesName); ok {
			r.From = "{files}" + rest
		}
		args = append(args, "--config-map", r.String())
	}
	switch {
	case o.Network == runner.NetworkNone:
		args = append(args, "--network", "none")
	case o.Cache == dag.CacheOn:
		args = append(args, "--cache")
	}
	if o.NoLayers {
		args = append(args, "--no-layers")
	}
	if o.Platform != "" {
		args = append(args, "--platform", o.Platform)
	}
	if o.Backend != "docker" {
		args = append(args, "--backend", o.Backend)
	}
	return args
}
