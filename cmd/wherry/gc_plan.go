package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

// gcItem is something that gc removes, or says why it does not.
type gcItem struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // -1: not known
	Why   string `json:"why"`

	remove func(context.Context) (bool, error) // false: it is in use by now, and stays
	gone   bool
}

// gcPlan is what gc would do, in this order: what refers to something goes before
// it, so that a gc which is killed leaves nothing that refers to what is gone.
type gcPlan struct {
	forget []string // runs
	drop   []string // experiments
	items  []*gcItem
	kept   []gcItem // what a person may expect to go, and does not
}

func (p *gcPlan) add(i gcItem) { p.items = append(p.items, &i) }

// gone are the ids of what is to be forgotten.
func (p *gcPlan) gone() []string { return append(slices.Clone(p.forget), p.drop...) }

// bytes is what the plan frees, as far as it is known.
func (p *gcPlan) bytes() (n int64) {
	for _, i := range p.items {
		n += max(0, i.Bytes)
	}
	return n
}

// garbage decides what is garbage, and takes it away.
type garbage struct {
	g      *globals
	limits gcLimits
	began  time.Time
	db     *sqlite.DB
	store  *artifact.Store
	runs   []runFacts
	sweeps []sweepFacts // experiments
	family family

	stay  map[string]*runFacts // by id, without those that are to be forgotten
	paths []string             // URIs of artifacts that stay, sorted

	dropped map[string]bool // experiments that are to be forgotten
}

func (g *globals) newGarbage(ctx context.Context, l gcLimits) (*garbage, error) {
	c := &garbage{g: g, limits: l, began: time.Now()}
	var err error
	if c.db, err = g.database(ctx); err != nil {
		return nil, err
	}
	if c.store, err = g.artifacts(); err != nil {
		return nil, err
	}
	rows, err := c.db.ListRuns(ctx, sqlite.RunFilter{})
	if err != nil {
		return nil, err
	}
	bases, err := c.db.Bases(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		c.runs = append(c.runs, runFacts{RunRow: r, driven: g.driven(r.ID), needed: bases[r.ID]})
	}
	experiments, err := c.db.ListExperiments(ctx, 0) // after the runs: of each trial's it is there
	for _, e := range experiments {
		c.sweeps = append(c.sweeps, sweepFacts{ExperimentRow: e, driven: g.driven(e.ID)})
	}
	c.family = familyOf(c.runs, c.sweeps)
	return c, err
}

// plan lists what is to go. It changes nothing. engine: look at the engine too.
func (c *garbage) plan(ctx context.Context, engine bool) (*gcPlan, error) {
	p := &gcPlan{}
	forget, err := c.chooseForget(ctx)
	if err != nil {
		return nil, err
	}
	c.stay, c.dropped = map[string]*runFacts{}, map[string]bool{}
	for i := range c.runs {
		r := &c.runs[i]
		if why := forget[r.ID]; why != "" {
			p.forget = append(p.forget, r.ID)
			p.add(gcItem{Kind: "run", Name: r.ID + " " + r.Name, Bytes: -1, Why: why, remove: c.withTrial(r.Experiment, c.forgetter(r.ID))})
			continue
		}
		c.stay[r.ID] = r
	}
	c.planExperiments(p, forget)
	digests, paths, err := c.db.References(ctx, p.gone())
	if err != nil {
		return nil, err
	}
	c.paths = sortedNames(paths)
	if engine {
		if err := c.planBackends(ctx, p); err != nil {
			return nil, err
		}
	}
	for _, run := range sortedNames(c.stay) {
		if err := c.planViews(ctx, p, run); err != nil {
			return nil, err
		}
	}
	if err := c.planFolders(ctx, p); err != nil {
		return nil, err
	}
	if err := c.planBundles(ctx, p); err != nil {
		return nil, err
	}
	parts, err := c.store.Garbage(ctx, func(digest string) bool { return digests[digest] })
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		c.planPart(p, part)
	}
	return p, nil
}

var partWhy = map[artifact.PartKind]string{
	artifact.PartObject: "no run refers to it", artifact.PartBlob: "no snapshot has it",
	artifact.PartRemember: "its source is gone", artifact.PartStage: "its process is gone",
}

func (c *garbage) planPart(p *gcPlan, part artifact.Part) {
	name := part.Digest
	if name == "" {
		name = filepath.Base(part.Path)
	}
	p.add(gcItem{Kind: string(part.Kind), Name: name, Bytes: part.Bytes, Why: partWhy[part.Kind],
		remove: func(ctx context.Context) (bool, error) {
			return c.store.Discard(part, func(digest string) (bool, error) { return c.db.Refers(ctx, digest) })
		}})
}

// grace is how long who was given the results of a run may take to put that on
// record, before the run goes. After it, his transaction fails and nothing is lost.
const grace = time.Second

// remove carries a plan out. What fails is left for the next gc.
func (c *garbage) remove(ctx context.Context, p *gcPlan) error {
	if len(p.forget) > 0 {
		if err := c.db.Retire(ctx, p.forget); err != nil {
			return err
		}
		if busy, err := c.store.InUse(); err != nil || busy {
			select {
			case <-ctx.Done():
			case <-time.After(grace):
			}
		}
	}
	var errs []error
	tidied := false
	for _, i := range p.items {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		if i.Kind != "run" && !tidied {
			tidied = true
			if err := c.tidy(ctx); err != nil {
				errs = append(errs, err)
				break
			}
		}
		gone, err := i.remove(ctx)
		i.gone = gone && err == nil
		errs = append(errs, err)
	}
	if !tidied {
		errs = append(errs, c.tidy(ctx))
	}
	if len(p.gone()) > 0 {
		errs = append(errs, c.db.Compact(ctx))
	}
	return errors.Join(errs...)
}

// tidy takes what only forgotten runs refer to from the record, and looks again at
// what stays: a run beside this gc may have been given some of it in time.
func (c *garbage) tidy(ctx context.Context) error {
	if err := c.db.Tidy(ctx); err != nil {
		return err
	}
	_, paths, err := c.db.References(ctx, nil)
	c.paths = sortedNames(paths)
	return err
}

// forgetter deletes what is on record of a run, unless somebody drives it.
func (c *garbage) forgetter(run string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		unlock, free := c.g.tryRun(run)
		if !free {
			return false, nil
		}
		defer unlock()
		err := c.db.Forget(ctx, run)
		if is[*sqlite.NotEndedError](err) || is[*sqlite.NeededError](err) {
			return false, nil
		}
		return err == nil, err
	}
}

// recorded reports whether a run, or an experiment, is on record now.
func (c *garbage) recorded(ctx context.Context, id string) (bool, error) {
	_, err := c.db.CancelRequested(ctx, id)
	if !isNotFound(err) {
		return true, err
	}
	e, err := c.db.FindExperiment(ctx, id)
	if isNotFound(err) {
		return false, nil
	}
	return err != nil || e.ID == id, err
}

// housekeepers are the backends that answer and hold something here.
func (c *garbage) housekeepers(ctx context.Context) (list []housekeeper) {
	for _, name := range backendNames {
		b, err := c.g.backend(ctx, name)
		if err == nil {
			err = b.Ping(ctx)
		}
		keeper, ok := b.(runner.Housekeeper)
		if err != nil || !ok {
			if _, statErr := os.Stat(filepath.Join(c.g.Home, "work")); err != nil && statErr == nil {
				c.g.note("note: the " + name + " backend does not answer, so what it keeps stays")
			}
			continue
		}
		list = append(list, housekeeper{name: name, Backend: b, Housekeeper: keeper})
	}
	return list
}

type housekeeper struct {
	name string
	runner.Backend
	runner.Housekeeper
}
