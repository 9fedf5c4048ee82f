package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// homeParts are the parts of WHERRY_HOME, and the files and folders of each.
var homeParts = []struct {
	name  string
	paths []string
}{
	{"artifacts", []string{"artifacts", "snapshots"}},
	{"runs", []string{"runs", "work"}},
	{"logs", []string{"logs", "up"}},
	{"database", []string{"wherry.db", "wherry.db-wal", "wherry.db-shm"}},
	{"environments", []string{"venvs"}},
	{"volumes", []string{"volumes"}},
	{"bundles", []string{"bundles"}},
}

// usage is what wherry takes on this machine's disk and on the engine's.
type usage struct {
	Home   map[string]int64 `json:"home"`   // bytes by part
	Engine map[string]held  `json:"engine"` // by kind; null: not known
	GC     int64            `json:"gc"`     // bytes that wherry gc without flags would free
}

// held are things of one kind.
type held struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"` // of those whose size is known
}

// checkUsage says what wherry takes on the disk. It looks and changes nothing.
func (d *diagnosis) checkUsage(ctx context.Context, b runner.Backend) error {
	if _, err := os.Stat(filepath.Join(d.g.Home, "wherry.db")); errors.Is(err, os.ErrNotExist) {
		return nil // nothing ran yet
	}
	u, err := d.g.measure(ctx, b)
	if err != nil {
		d.add("disk use", findingWarn, cmp.Or(hintIn(err), "wherry gc --dry-run says more"), "not known: %v", err)
		return context.Cause(ctx)
	}
	d.usage = u
	text := u.homeLine()
	var parts []string
	for _, kind := range sortedNames(u.Engine) {
		h := u.Engine[kind]
		parts = append(parts, fmt.Sprintf("%s %s", count(h.Count, kind), dag.FormatBytes(h.Bytes)))
	}
	if len(parts) > 0 {
		text += "\non the engine: " + strings.Join(parts, ", ")
	}
	if u.GC > 0 {
		text += "\nwherry gc would free " + dag.FormatBytes(u.GC) + "; with --older-than 30d old runs go too"
	}
	d.add("disk use", findingOK, "", "%s", text)
	return nil
}

// homeLine says what the home takes.
func (u *usage) homeLine() string {
	var parts []string
	total := int64(0)
	for _, p := range homeParts {
		if n := u.Home[p.name]; n > 0 {
			total += n
			parts = append(parts, p.name+" "+dag.FormatBytes(n))
		}
	}
	return fmt.Sprintf("WHERRY_HOME takes %s: %s", dag.FormatBytes(total), strings.Join(parts, ", "))
}

// measure looks at the home and at what the backend holds; b may be nil.
func (g *globals) measure(ctx context.Context, b runner.Backend) (*usage, error) {
	u := &usage{Home: map[string]int64{}}
	for _, p := range homeParts {
		for _, path := range p.paths {
			n, err := artifact.DiskUse(ctx, filepath.Join(g.Home, path))
			if err != nil {
				return nil, err
			}
			u.Home[p.name] += n
		}
	}
	c, err := g.newGarbage(ctx, noLimits)
	if err != nil {
		return nil, err
	}
	plan, err := c.plan(ctx, false)
	if err != nil {
		return nil, err
	}
	u.GC = plan.bytes()
	keeper, ok := b.(runner.Housekeeper)
	if !ok || !b.Features().Images { // what host processes keep is in the home
		return u, nil
	}
	holdings, err := keeper.Holdings(ctx, true)
	if err != nil {
		return nil, err
	}
	u.Engine = map[string]held{}
	for _, h := range holdings {
		kind := kindOf(h)
		if what, _, ok := dag.ParseVolumeName(g.homeID(), h.Name); ok && h.Kind == runner.HoldingVolume {
			kind = what
		}
		e := u.Engine[kind]
		e.Count++
		e.Bytes += max(0, h.Bytes)
		u.Engine[kind] = e
	}
	return u, nil
}
