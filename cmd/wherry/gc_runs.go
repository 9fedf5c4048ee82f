package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/sqlite"
)

// runFacts is what decides about a run.
type runFacts struct {
	sqlite.RunRow
	driven  bool
	needed  bool // by a rerun that has not ended
	digests []string
	bytes   int64 // of its own folders
}

// last is when the run was last at work.
func (r *runFacts) last() time.Time {
	if r.Ended.IsZero() {
		return r.Created
	}
	return r.Ended
}

// free reports whether a run may be forgotten at all.
func (r *runFacts) free() bool { return r.State.Ended() && !r.driven && !r.needed }

// shelf adds up what runs hold together.
type shelf struct {
	sizes map[string]int64 // of objects
	used  map[string]bool
	bytes int64
}

// with is what all take together with one more.
func (s *shelf) with(r *runFacts) int64 {
	n := s.bytes + r.bytes
	for _, d := range r.digests {
		if !s.used[d] {
			n += s.sizes[d]
		}
	}
	return n
}

func (s *shelf) put(r *runFacts) {
	s.bytes = s.with(r)
	for _, d := range r.digests {
		s.used[d] = true
	}
}

// chooseRuns returns which runs the limits say to forget, each with the reason. It
// is pure. sizes are those of objects.
func chooseRuns(runs []runFacts, sizes map[string]int64, l gcLimits) map[string]string {
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b runFacts) int { // the newest first
		return cmp.Or(b.last().Compare(a.last()), cmp.Compare(b.ID, a.ID))
	})
	stay := shelf{sizes: sizes, used: map[string]bool{}}
	for i := range runs {
		if !runs[i].free() {
			stay.put(&runs[i])
		}
	}
	forget := map[string]string{}
	full := false
	for i := range runs {
		r := &runs[i]
		if !r.free() {
			continue
		}
		full = full || l.maxSize >= 0 && stay.with(r) > l.maxSize
		switch {
		case l.keep >= 0 && i >= l.keep:
			forget[r.ID] = keepWhy(l.keep)
		case !l.before.IsZero() && r.last().Before(l.before):
			forget[r.ID] = "ended " + ago(r.last())
		case full:
			forget[r.ID] = fmt.Sprintf("with it runs take %s, more than %s", dag.FormatBytes(stay.with(r)), dag.FormatBytes(l.maxSize))
		default:
			stay.put(r)
		}
	}
	return forget
}

func keepWhy(n int) string {
	switch n {
	case 0:
		return "no run is to be kept"
	case 1:
		return "not the last run"
	}
	return fmt.Sprintf("not among the last %d runs", n)
}

// chooseForget returns which runs are to be forgotten and why; those that only the
// age condemns and whose results were used since by what does not stay are spared.
func (c *garbage) chooseForget(ctx context.Context) (map[string]string, error) {
	if !c.limits.forgets() {
		return nil, nil
	}
	sizes := map[string]int64{}
	if c.limits.maxSize >= 0 {
		digests, err := c.db.RunDigests(ctx)
		if err != nil {
			return nil, err
		}
		objects, err := c.store.Objects(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			sizes[o.Digest] = o.Bytes
		}
		for i := range c.runs {
			r := &c.runs[i]
			r.digests = digests[r.ID]
			if r.bytes, err = c.folderBytes(ctx, r.ID); err != nil {
				return nil, err
			}
		}
		for i := range c.sweeps {
			c.sweeps[i].digests = digests[c.sweeps[i].ID]
		}
	}
	return c.spareUsed(ctx, units(c.runs, c.sweeps), sizes)
}

// spareUsed returns which units are to be forgotten and why, with each run of an experiment.
func (c *garbage) spareUsed(ctx context.Context, all []runFacts, sizes map[string]int64) (map[string]string, error) {
	forget := chooseRuns(all, sizes, c.limits)
	if !c.limits.before.IsZero() {
		used, err := c.db.InUse(ctx, c.members(forget), c.limits.before)
		if err != nil {
			return nil, err
		}
		others := chooseRuns(all, sizes, gcLimits{keep: c.limits.keep, maxSize: c.limits.maxSize})
		for run := range used {
			if unit := c.family.unit(run); others[unit] == "" {
				delete(forget, unit)
			}
		}
	}
	return c.everyone(forget), nil
}
