package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/bundle"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

type bundleSaveFlags struct {
	runFlags // of a pipeline that has not run
	to       string
}

func newBundleSaveCmd(g *globals) *cobra.Command {
	var f bundleSaveFlags
	cmd := &cobra.Command{
		Use:   "save RUN|PIPELINE -o FILE",
		Short: "Save a run, or a pipeline file that has not run, with all that it needs",
		Long: `Saves a run that has ended: images, layers, artifacts, cached results that it used,
logs and files. Of a pipeline file it saves what a run of it would need; images are
pulled and layers built where they are not there, and nothing is run.

What was interrupted goes on from FILE.partial. The same run makes the same bundle.`,
		Example: `  wherry bundle save last -o demo.tar
  wherry bundle save pipeline.yaml -v ./src:/app:ro -o site.tar`,
		Args: cobra.ExactArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.to, "output", "o", "", "`FILE` to write (in this command -o is no format: see --format)")
	format := g.formatFlag(cmd)
	fl.StringArrayVarP(&f.params, "param", "p", nil, "`NAME=VALUE` of a pipeline file's parameter (repeatable)")
	fl.StringArrayVarP(&f.mounts, "volume", "v", nil, "`SRC:DST[:ro]` mounted in every step of a pipeline file")
	fl.StringVar(&f.platform, "platform", "", "`OS/ARCH` of a pipeline file's images")
	fl.BoolVar(&f.noLayers, "no-layers", false, "a pipeline file's steps install their packages themselves: no layers")
	f.python.add(fl)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := g.setFormat(*format); err != nil {
			return err
		}
		if f.to == "" {
			return &usageError{msg: "bundle save: where to?", mend: "wherry bundle save " + args[0] + " -o FILE"}
		}
		return g.saveBundle(cmd.Context(), args[0], f)
	}
	return cmd
}

// bundled is what a bundle is made of.
type bundled struct {
	run     *dag.Run
	loaded  *loaded // nil where the file is gone or has changed
	project *project
	stored  bool // the run is in the database
	plan    bundle.Plan
	files   *bundleFiles
}

func (g *globals) saveBundle(ctx context.Context, ref string, f bundleSaveFlags) (err error) {
	b, err := g.bundledRun(ctx, ref, f)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(f.to)
	if err != nil {
		return err
	}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	dir, remove, err := store.Scratch()
	if err != nil {
		return err
	}
	defer remove()
	if b.files, err = g.collectFiles(ctx, dir, b.run, b.loaded, b.project); err != nil {
		return fmt.Errorf("save bundle: files: %w", err)
	}
	b.plan.Folder = dir
	source, err := g.bundleSource(ctx, b)
	if err != nil {
		return err
	}
	defer source.Home.Close()
	if err := g.planRecords(ctx, b); err != nil {
		return err
	}
	b.describe()
	saved, err := bundle.Save(ctx, to, &b.plan, source, g.bundleProgress())
	if err != nil {
		if _, partial := os.Stat(to + ".partial"); partial == nil {
			g.note("the same command goes on from " + f.to + ".partial")
		}
		return err
	}
	return g.printSaved(f.to, b, saved)
}

// bundledRun finds the run, or prepares one of a pipeline file.
func (g *globals) bundledRun(ctx context.Context, ref string, f bundleSaveFlags) (*bundled, error) {
	if info, err := os.Stat(ref); err == nil && info.Mode().IsRegular() {
		f.runFlags.file, f.backend, f.network = ref, "docker", "on"
		job, err := g.prepareRun(ctx, f.runFlags)
		if err != nil {
			return nil, err
		}
		return &bundled{run: job.run, loaded: job.loaded, project: job.project}, g.snapshot(ctx, job.run)
	}
	db, err := g.database(ctx)
	if err != nil {
		return nil, err
	}
	row, err := db.FindRun(ctx, ref)
	if err != nil {
		return nil, err
	}
	run, _, err := db.LoadRun(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	if !run.State.Ended() {
		return nil, &usageError{msg: fmt.Sprintf("bundle save: run %s is %s: only one that has ended can be saved", run.ID, run.State),
			mend: fmt.Sprintf("wherry resume %s, and then save it", run.ID)}
	}
	b := &bundled{run: run, project: &project{}, stored: true}
	if _, err := os.Stat(run.Pipeline.File); err != nil {
		g.note(fmt.Sprintf("note: %s is gone: the bundle has no pipeline file", run.Pipeline.File))
		return b, nil
	}
	if b.project, err = findProject(filepath.Dir(run.Pipeline.File)); err != nil {
		return nil, err
	}
	var mounted []string
	for _, m := range run.Options.Mounts {
		mounted = append(mounted, m.Target)
	}
	if b.loaded, err = g.loadAny(ctx, runFlags{file: run.Pipeline.File}, mounted); err != nil {
		g.note(fmt.Sprintf("note: %s can't be read as a pipeline any more: %v", run.Pipeline.File, err))
		b.loaded = nil
	}
	return b, nil
}

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
	driver := &dag.Driver{Backend: backend, Artifacts: store, Home: g.Home, HomeID: g.homeID(), Observe: func(e dag.Event) {
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
		if strings.Contains(im.Name, "@") {
			b.files.need("image %s is named by its digest, by which an engine without a network may not find it; give it another name in wherry.yaml: images", im.Name)
		}
	}
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
			known = known || p.Source == m.Source && p.Target == m.Target && p.ReadOnly == m.ReadOnly
		}
		if !known {
			text := "{files}/" + b.files.place(m.Source) + ":" + m.Target
			if m.ReadOnly {
				text += ":ro"
			}
			args = append(args, "-v", text)
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

func (g *globals) printSaved(file string, b *bundled, saved *bundle.Saved) error {
	d := &b.plan.Document
	if g.structured() {
		return g.printDocument(map[string]any{"bundle": map[string]any{
			"file": file, "digest": saved.Digest, "bytes": saved.Size, "kept": saved.Kept, "pipeline": d.Pipeline, "run": d.Run,
			"images": imageNames(d.Images), "artifacts": len(b.plan.Objects), "needs": append([]string{}, d.Needs...),
		}})
	}
	for _, n := range d.Needs {
		g.note("note: " + n)
	}
	if saved.Kept > 0 {
		g.note(fmt.Sprintf("%s were there already, of an interrupted save", dag.FormatBytes(saved.Kept)))
	}
	fmt.Fprintf(g.Out, "%s: %s, %d images, %d artifacts, %s\n", file, dag.FormatBytes(saved.Size), len(d.Images), len(b.plan.Objects), saved.Digest)
	g.note("there: wherry bundle load " + shellQuote(filepath.Base(file)))
	return nil
}

func imageNames(images []bundle.Image) []string {
	names := []string{}
	for _, im := range images {
		names = append(names, im.Name)
	}
	return names
}
