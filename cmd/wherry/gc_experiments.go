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

// family is which run is a trial of which experiment, and which experiment a step of which run.
type family struct {
	above map[string]string // by id of a run or an experiment; empty: nothing
	known map[string]bool   // experiments
}

func familyOf(runs []runFacts, sweeps []sweepFacts) family {
	f := family{above: map[string]string{}, known: map[string]bool{}}
	for i := range sweeps {
		f.known[sweeps[i].ID] = true
	}
	for _, r := range runs {
		f.above[r.ID] = ""
		if f.known[r.Experiment] {
			f.above[r.ID] = r.Experiment
		}
	}
	for i := range sweeps {
		if _, ok := f.above[sweeps[i].Run()]; ok {
			f.above[sweeps[i].ID] = sweeps[i].Run()
		}
	}
	return f
}

// unit is the run or the experiment that a run or an experiment stays or goes with.
func (f family) unit(id string) string {
	for f.above[id] != "" {
		id = f.above[id]
	}
	return id
}

// units are what the limits count: a run with the experiments that are steps of it, or an
// experiment, each with the runs of its trials. They stay or go together. Experiments whose
// trials somebody else runs are none: they hold nothing.
func units(runs []runFacts, sweeps []sweepFacts) []runFacts {
	f := familyOf(runs, sweeps)
	var list []runFacts
	at := map[string]int{}
	add := func(r runFacts) {
		unit := f.unit(r.ID)
		i, ok := at[unit]
		if !ok {
			i, at[unit] = len(list), len(list)
			list = append(list, runFacts{RunRow: sqlite.RunRow{ID: unit, State: dag.Succeeded}})
		}
		u := &list[i]
		if !r.free() {
			u.State = dag.Running
		}
		if r.last().After(u.Ended) {
			u.Ended = r.last()
		}
		u.bytes += r.bytes
		u.digests = append(u.digests, r.digests...)
	}
	for _, r := range runs {
		add(r)
	}
	for i := range sweeps {
		e := &sweeps[i]
		row := sqlite.RunRow{ID: e.ID, State: dag.Running, Created: e.Created, Ended: e.Ended}
		if e.free() {
			row.State = dag.Succeeded
		}
		if _, has := at[e.ID]; has || !e.Asked {
			add(runFacts{RunRow: row, digests: e.digests})
		}
	}
	for i := range list { // once each
		list[i].digests = slices.Compact(slices.Sorted(slices.Values(list[i].digests)))
	}
	return list
}

// members returns the runs of units.
func (c *garbage) members(units map[string]string) (runs []string) {
	for _, r := range c.runs {
		if units[c.family.unit(r.ID)] != "" {
			runs = append(runs, r.ID)
		}
	}
	return runs
}

// everyone gives each run and each experiment of units the reason of its unit.
func (c *garbage) everyone(units map[string]string) map[string]string {
	all := map[string]string{}
	note := func(id string) {
		if why := units[c.family.unit(id)]; why != "" {
			all[id] = why
		}
	}
	for _, r := range c.runs {
		note(r.ID)
	}
	for i := range c.sweeps {
		note(c.sweeps[i].ID)
	}
	return all
}

// planExperiments lists the experiments that go: after the runs of their trials, by a limit, or
// because these are gone already.
func (c *garbage) planExperiments(p *gcPlan, forget map[string]string) {
	has := map[string]bool{}
	for _, r := range c.runs {
		has[r.Experiment] = true
	}
	for i := range c.sweeps {
		e := &c.sweeps[i]
		why := forget[e.ID]
		if why == "" && e.free() && !e.Asked && e.Trials > 0 && !has[e.ID] && c.family.unit(e.ID) == e.ID {
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
	if !c.family.known[experiment] {
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
	return c.stay[id] != nil || c.family.known[id] && !c.dropped[id]
}
