package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/bundle"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

func newBundleLoadCmd(g *globals) *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "load FILE",
		Short: "Load a bundle, and say how to run it",
		Long: `Reads and checks all of a bundle before it changes anything: what is damaged in one
byte, or ends too early, is refused as a whole. Then it loads images, artifacts, cached
results, lineage, logs and files; what is here already stays as it is. The files go
below WHERRY_HOME, or into the folder that -C names.`,
		Example: `  wherry bundle load demo.tar
  wherry bundle load demo.tar -C demo && wherry run demo/pipeline.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.loadBundle(cmd.Context(), args[0], dir)
		},
	}
	cmd.Flags().StringVarP(&dir, "directory", "C", "", "`DIR` for the files: new, or one that has them already")
	return cmd
}

// arrival is a bundle on its way in.
type arrival struct {
	b      *bundle.Bundle
	folder string // of its files
	loaded *bundle.Loaded
	taken  *sqlite.TakenIn
	known  []sqlite.IncomingRun
}

func (g *globals) loadBundle(ctx context.Context, file, dir string) error {
	told := g.bundleProgress()
	b, err := bundle.Open(ctx, file, told)
	if os.IsNotExist(err) {
		return &usageError{msg: fmt.Sprintf("there is no bundle %s", file), mend: "wherry bundle load FILE, of what wherry bundle save has written"}
	}
	if err != nil {
		return err
	}
	defer b.Close()
	a := &arrival{b: b, taken: &sqlite.TakenIn{}, folder: filepath.Join(g.Home, "bundles", strings.TrimPrefix(b.Digest, "sha256:")[:12])}
	if dir != "" {
		if a.folder, err = filepath.Abs(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(g.Home, 0o755); err != nil {
		return &usageError{msg: fmt.Sprintf("make WHERRY_HOME: %v", err), mend: "set WHERRY_HOME to a folder that you may write"}
	}
	if err := g.bringIn(ctx, a, told); err != nil {
		return err
	}
	return g.printLoaded(a)
}

// bringIn loads the bundle.
func (g *globals) bringIn(ctx context.Context, a *arrival, told bundle.Progress) error {
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	if err := store.Hold(); err != nil { // gc spares what is brought in
		return err
	}
	intake, err := store.NewIntake()
	if err != nil {
		return err
	}
	defer intake.Close()
	to := bundle.Machine{Objects: intake}
	if to.Home, err = os.OpenRoot(g.Home); err != nil {
		return err
	}
	defer to.Home.Close()
	if len(a.b.Document.Images) > 0 {
		backend, err := g.backend(ctx, a.b.Document.Backend)
		if err != nil {
			return err
		}
		if err := ping(ctx, backend); err != nil {
			return err
		}
		to.Engine = carrier(backend)
	}
	clean := func() {}
	defer func() { clean() }()
	to.Files = func(ctx context.Context, r io.Reader) (func(context.Context) error, error) {
		p, err := placeFiles(ctx, r, a.folder)
		if err != nil {
			return nil, err
		}
		clean = p.clean
		return p.commit, nil
	}
	to.Records = func(ctx context.Context, text []byte) (func(context.Context) error, error) {
		return g.takeRecords(ctx, a, text)
	}
	a.loaded, err = a.b.Load(ctx, to, told)
	return err
}

// takeRecords checks the records and returns what brings them in.
func (g *globals) takeRecords(ctx context.Context, a *arrival, text []byte) (func(context.Context) error, error) {
	tmp, remove, err := g.opened.store.Scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	in, err := sqlite.ReadRecords(ctx, text, tmp)
	if err != nil {
		return nil, err
	}
	if err := checkRunIDs(in.Runs); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		db, err := g.database(ctx)
		if err != nil {
			return err
		}
		to := func(path string) string { return g.arriving(path, a.folder) }
		places := sqlite.Places{URI: to, Run: func(o *dag.RunOptions, p *dag.Pipeline) { translateRun(o, p, to) }}
		if a.taken, err = db.Import(ctx, in, places); err != nil {
			return err
		}
		a.known = in.Runs
		return g.linkLoaded(ctx, a)
	}, nil
}

// checkRunIDs refuses ids that wherry would not give: they become parts of paths.
func checkRunIDs(runs []sqlite.IncomingRun) error {
	for _, r := range runs {
		if r.ID == "" || len(r.ID) > 64 || strings.Trim(r.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("%q is no id of a run", r.ID)
		}
	}
	return nil
}

// linkLoaded leaves links at the places of the artifacts of runs that are new here.
func (g *globals) linkLoaded(ctx context.Context, a *arrival) error {
	db, err := g.database(ctx)
	if err != nil {
		return err
	}
	home, err := os.OpenRoot(g.Home)
	if err != nil {
		return err
	}
	defer home.Close()
	for _, id := range a.taken.Runs {
		_, executions, err := db.LoadRun(ctx, id)
		if err != nil {
			return err
		}
		for _, x := range executions {
			for _, list := range x.Outputs.Artifacts {
				for _, one := range list {
					if err := g.linkOne(home, one); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (g *globals) linkOne(home *os.Root, a dag.Artifact) error {
	rel, ok := below(a.URI, g.Home)
	if !ok || !strings.HasPrefix(rel, "runs/") || a.Digest == "" {
		return nil
	}
	if _, err := g.opened.store.Path(a.Digest); err != nil {
		return nil // only its record has come
	}
	if err := home.MkdirAll(filepath.Dir(rel), 0o755); err != nil {
		return err
	}
	return g.opened.store.Link(a.Digest, a.URI)
}

// start is the command that runs what was loaded.
func (a *arrival) start() string {
	args := []string{"wherry", "run"}
	for _, s := range a.b.Document.Start {
		args = append(args, shellQuote(strings.ReplaceAll(s, "{files}", shown(a.folder))))
	}
	return strings.Join(args, " ")
}

// shown is a path as a person would write it.
func shown(path string) string { return relativeName(path) }

func (g *globals) printLoaded(a *arrival) error {
	d := &a.b.Document
	if g.structured() {
		start := ""
		if len(d.Start) > 0 {
			start = a.start()
		}
		return g.printDocument(map[string]any{"bundle": map[string]any{
			"digest": a.b.Digest, "pipeline": d.Pipeline, "run": d.Run, "files": a.folder, "start": start,
			"images": append([]string{}, a.loaded.Images...), "runs": append([]string{}, a.taken.Runs...),
			"artifacts": len(d.Artifacts), "cacheEntries": a.taken.Entries, "needs": append([]string{}, d.Needs...),
		}})
	}
	for _, name := range sortedNames(a.loaded.Moved) {
		g.note(fmt.Sprintf("note: %s meant %s here and now means the bundle's image", name, a.loaded.Moved[name][:min(19, len(a.loaded.Moved[name]))]))
	}
	for _, name := range a.loaded.Other {
		g.note(fmt.Sprintf("note: this engine counts %s differently than the one it comes from: steps that use it run again", name))
	}
	for _, n := range d.Needs {
		g.note("note: " + n)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s: %d of %d images, %d artifacts, %d runs and %d cached results are new here", d.Pipeline,
		len(a.loaded.Images), len(d.Images), len(d.Artifacts), len(a.taken.Runs), a.taken.Entries)
	fmt.Fprintln(g.Out, text.String())
	if len(d.Start) > 0 {
		fmt.Fprintln(g.Out, a.start())
	}
	if d.Run != "" {
		g.note(fmt.Sprintf("wherry describe %s shows the run that was saved", d.Run))
	}
	return nil
}
