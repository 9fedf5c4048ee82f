package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

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
	stored  bool           // the run is in the database
	images  []runner.Image // of the engine
	plan    bundle.Plan
	files   *bundleFiles
}

func (g *globals) saveBundle(ctx context.Context, ref string, f bundleSaveFlags) (err error) {
	to, err := bundleTarget(f.to)
	if err != nil {
		return err
	}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	if err := store.Hold(); err != nil { // gc spares what is brought in
		return err
	}
	b, err := g.bundledRun(ctx, ref, f)
	if err != nil {
		return err
	}
	dir, remove, err := store.Scratch()
	if err != nil {
		return err
	}
	defer remove()
	b.files = &bundleFiles{dir: dir, secrets: b.run.Options.Secrets, pinned: map[string]string{},
		base: baseFolder(b.run.Pipeline.File, b.project, b.run)}
	b.plan.Folder = dir
	source, err := g.bundleSource(ctx, b)
	if err != nil {
		return err
	}
	defer source.Home.Close()
	if err := g.collectFiles(ctx, b.files, b.run, b.loaded, b.project); err != nil {
		return fmt.Errorf("save bundle: files: %w", err)
	}
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

// bundleTarget is the absolute path of the file to write.
func bundleTarget(name string) (string, error) {
	to, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(filepath.Dir(to)); err != nil || !info.IsDir() {
		return "", &usageError{msg: fmt.Sprintf("bundle save: there is no folder %s", filepath.Dir(to)), mend: "-o with a file in a folder that is there"}
	}
	if info, err := os.Stat(to); err == nil && !info.Mode().IsRegular() || name == "-" {
		return "", &usageError{msg: fmt.Sprintf("bundle save: %s is not a file", name), mend: "-o demo.tar"}
	}
	return to, nil
}

// bundledRun finds the run, or prepares one of a pipeline file.
func (g *globals) bundledRun(ctx context.Context, ref string, f bundleSaveFlags) (*bundled, error) {
	info, statErr := os.Stat(ref)
	if statErr == nil && info.Mode().IsRegular() {
		f.runFlags.file, f.backend, f.network = ref, "docker", "on"
		job, err := g.prepareRun(ctx, f.runFlags)
		if err != nil {
			return nil, err
		}
		if err := refuseLive(job.run.Options.Mounts); err != nil {
			return nil, err
		}
		return &bundled{run: job.run, loaded: job.loaded, project: job.project}, g.snapshot(ctx, job.run)
	}
	db, err := g.database(ctx)
	if err != nil {
		return nil, err
	}
	row, err := db.FindRun(ctx, ref)
	if is[*sqlite.NotFoundError](err) && statErr == nil {
		return nil, &usageError{msg: fmt.Sprintf("bundle save: %s is no file, and no run has this name", ref), mend: "name the pipeline's file, or a run of wherry get runs"}
	}
	if is[*sqlite.NotFoundError](err) && filepath.Ext(ref) != "" {
		return nil, &usageError{msg: fmt.Sprintf("bundle save: %s: no such file, and no such run", ref), mend: "name a file that exists, or a run of wherry get runs"}
	}
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
	if err := refuseLive(run.Options.Mounts); err != nil {
		return nil, err
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
	} else if b.changed() {
		g.note(fmt.Sprintf("note: %s has changed since the run: the bundle has it as it is now, and what has changed runs again", run.Pipeline.File))
	}
	return b, nil
}

// changed reports whether the pipeline file is another one than that of the run. One
// with input artifacts can't be compared: they became importers.
func (b *bundled) changed() bool {
	then, now := b.run.Pipeline, b.loaded.pipeline
	if len(now.Components[now.Root].Inputs.Artifacts) > 0 {
		return false
	}
	one, err1 := json.Marshal(then.Components)
	two, err2 := json.Marshal(now.Components)
	return err1 != nil || err2 != nil || !bytes.Equal(one, two)
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
