package main

import (
	"context"
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// sweepFacts is what decides about an experiment.
type sweepFacts struct {
	sqlite.ExperimentRow
	driven  bool
	digests []string // of its sources
}

// free reports whether an experiment may be forgotten at all.
func (e *sweepFacts) free() bool { return e.State.Ended() && !e.driven }

// units are what the limits count: a run, or an experiment with the runs of its trials, which
// stay or go together. Such a unit has the id of the experiment.
func units(runs []runFacts, sweeps []sweepFacts) []runFacts {
	var list []runFacts
	at := map[string]int{}
	for _, e := range sweeps {
		u := runFacts{RunRow: sqlite.RunRow{ID: e.ID, State: dag.Running, Created: e.Created, Ended: e.Ended}, driven: e.driven, digests: slices.Clone(e.digests)}
		if e.free() {
			u.State = dag.Succeeded
		}
		at[e.ID] = len(list)
		list = append(list, u)
	}
	for _, r := range runs {
		i, ok := at[r.Of]
		if r.Of == "" || !ok {
			list = append(list, r)
			continue
		}
		u := &list[i]
		if !r.free() {
			u.State = dag.Running
		}
		if r.last().After(u.Ended) {
			u.Ended = r.last()
		}
		u.needed, u.bytes = u.needed || r.needed, u.bytes+r.bytes
		u.digests = append(u.digests, r.digests...)
	}
	for i := range list { // once each
		list[i].digests = slices.Compact(slices.Sorted(slices.Values(list[i].digests)))
	}
	return list
}

// members returns the runs of units, each a unit of its own or of an experiment.
func (c *garbage) members(units map[string]string) (runs []string) {
	for _, r := range c.runs {
		if units[c.unitOf(r.ID)] != "" {
			runs = append(runs, r.ID)
		}
	}
	return runs
}

// unitOf is the id of the unit of a run.
func (c *garbage) unitOf(run string) string {
	if unit := c.trials[run]; c.known[unit] {
		return unit
	}
	return run
}

// planExperiments lists the experiments that go: after the runs of their trials, by a limit, or
// because these are gone already.
func (c *garbage) planExperiments(p *gcPlan, forget map[string]string) {
	has := map[string]bool{}
	for _, r := range c.runs {
		has[r.Of] = true
	}
	for i := range c.sweeps {
		e := &c.sweeps[i]
		why := forget[e.ID]
		if why == "" && e.free() && e.Trials > 0 && !has[e.ID] {
			why = "the runs of its trials are gone"
		}
		if why == "" {
			continue
		}
		p.drop, c.dropped[e.ID] = append(p.drop, e.ID), true
		p.add(gcItem{Kind: "experiment", Name: e.ID + " " + e.Name, Bytes: -1, Why: why, remove: c.dropper(e.ID, true)})
	}
}

// dropper deletes an experiment from the record, unless somebody drives it or the run of a
// trial is there. ended: and unless it goes on by now.
func (c *garbage) dropper(id string, ended bool) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		unlock, free := c.g.tryRun(id)
		if !free {
			return false, nil
		}
		defer unlock()
		if open, err := c.goesOn(ctx, id); ended && (open || err != nil) {
			return false, err
		}
		return c.db.ForgetExperiment(ctx, id)
	}
}

// goesOn reports whether an experiment has not ended. Who calls it holds its lock.
func (c *garbage) goesOn(ctx context.Context, id string) (bool, error) {
	e, err := c.db.FindExperiment(ctx, id)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil && !e.State.Ended(), err
}

// withTrial is a forgetter for the run of a trial: it also asks whether its experiment goes on.
func (c *garbage) withTrial(experiment string, forget func(context.Context) (bool, error)) func(context.Context) (bool, error) {
	if !c.known[experiment] {
		return forget
	}
	return func(ctx context.Context) (bool, error) {
		unlock, free := c.g.tryRun(experiment)
		if !free {
			return false, nil
		}
		defer unlock()
		if open, err := c.goesOn(ctx, experiment); open || err != nil {
			return false, err
		}
		return forget(ctx)
	}
}

// stays reports whether a run or an experiment is on record and not to be forgotten.
func (c *garbage) stays(id string) bool {
	return c.stay[id] != nil || c.known[id] && !c.dropped[id]
}
