package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// planBackends lists what backends keep and nothing needs.
func (c *garbage) planBackends(ctx context.Context, p *gcPlan) error {
	for _, b := range c.housekeepers(ctx) {
		if err := c.planPods(ctx, b, p); err != nil {
			return err
		}
		holdings, err := b.Holdings(ctx, true)
		if err != nil {
			return err
		}
		since := c.oldest()
		for _, h := range holdings {
			if why, stays := c.judge(h, since); why != "" {
				p.add(gcItem{Kind: kindOf(h), Name: h.Name, Bytes: h.Bytes, Why: why, remove: func(ctx context.Context) (bool, error) { return b.Discard(ctx, h) }})
			} else if stays != "" {
				p.kept = append(p.kept, gcItem{Kind: kindOf(h), Name: h.Name, Bytes: h.Bytes, Why: stays})
			}
		}
	}
	return nil
}

func kindOf(h runner.Holding) string {
	if h.Kind == runner.HoldingCache {
		return "pip cache"
	}
	return string(h.Kind)
}

// oldest is when the oldest run that stays was made; now where none does.
func (c *garbage) oldest() time.Time {
	at := c.began
	for _, r := range c.stay {
		if r.Created.Before(at) {
			at = r.Created
		}
	}
	return at
}

// judge says why a holding goes, or why one stays that a person may expect to go;
// both empty: it stays. since is when the oldest run that stays was made.
func (c *garbage) judge(h runner.Holding, since time.Time) (why, stays string) {
	unused := h.Used.Before(since) && (c.limits.before.IsZero() || h.Used.Before(c.limits.before))
	switch h.Kind {
	case runner.HoldingBuild:
		return "its build is gone", ""
	case runner.HoldingVolume:
		return c.judgeVolume(h)
	case runner.HoldingCache:
		over := h.Own && c.limits.maxSize >= 0 && h.Bytes > c.limits.maxSize
		switch {
		case h.Busy || !c.limits.all && !over:
			if !h.Own {
				return "", "an earlier version of wherry used it, in all homes; --all removes it"
			}
		case !h.Own:
			return "an earlier version of wherry used it", ""
		default:
			return "it only saves downloads", ""
		}
		return "", ""
	}
	if h.Busy || !(h.Own || c.limits.all) || !c.limits.forgets() || !unused {
		return "", ""
	}
	return "not used since " + ago(h.Used), ""
}

func (c *garbage) judgeVolume(h runner.Holding) (why, stays string) {
	kind, name, ok := dag.ParseVolumeName(c.g.homeID(), h.Name)
	r := c.stay[name]
	switch {
	case !ok || h.Busy || c.g.driven(name):
		return "", ""
	case kind == "workspace" && r == nil:
		return "its run is gone", ""
	case kind == "workspace" && r.State.Ended() && r.State != dag.Failed:
		return "its run has ended", ""
	case kind == "workspace":
		return "", ""
	case !c.limits.claims:
		if c.limits.forgets() {
			return "", "a claim is data of yours; --claims removes it"
		}
		return "", ""
	case c.open():
		return "", "a run that has not ended may need it"
	}
	return "--claims", ""
}

// open reports whether a run that stays has not ended, or an experiment.
func (c *garbage) open() bool {
	for i := range c.sweeps {
		if !c.sweeps[i].Asked && !c.sweeps[i].free() {
			return true
		}
	}
	for _, r := range c.stay {
		if !r.State.Ended() {
			return true
		}
	}
	return false
}

// planPods lists the pods of runs that have ended or are gone: their driver was
// killed before it could remove them.
func (c *garbage) planPods(ctx context.Context, b housekeeper, p *gcPlan) error {
	pods, err := c.pods(ctx, b)
	if err != nil {
		return err
	}
	for _, pod := range sortedNames(pods) {
		run := pods[pod]
		why := "its run is gone"
		if r := c.stay[run]; r != nil {
			why = "its run has ended"
			if !r.State.Ended() {
				continue
			}
		}
		if run == "" || c.g.driven(run) { // what is no run's is not ours to judge
			continue
		}
		p.add(gcItem{Kind: "pod", Name: pod, Bytes: -1, Why: why, remove: func(ctx context.Context) (bool, error) {
			unlock, free := c.g.tryRun(run)
			if !free {
				return false, nil
			}
			defer unlock()
			return true, b.Remove(ctx, pod)
		}})
	}
	return nil
}

// pods returns the run of each pod that a backend has, by name, and of each folder
// of one.
func (c *garbage) pods(ctx context.Context, b housekeeper) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pods := map[string]string{}
	for s, err := range b.Watch(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list the pods of the %s backend: %w", b.name, err)
		}
		if s.Synced {
			break
		}
		pods[s.Pod] = cmp.Or(s.Labels[runner.LabelRun], s.Labels[runner.LabelDebug]) // a session is locked as a run is
	}
	work := filepath.Join(c.g.Home, "work")
	entries, _ := os.ReadDir(work)
	for _, e := range entries {
		run, ok := runOfPod(c.g.homeID(), e.Name())
		_, err := os.Stat(filepath.Join(work, e.Name(), "spec.json"))
		if process := err == nil; ok && e.IsDir() && process == (b.name == "process") && pods[e.Name()] == "" {
			pods[e.Name()] = run
		}
	}
	return pods, nil
}

// runOfPod reads the name that runner.PodName makes.
func runOfPod(home, pod string) (run string, ok bool) {
	rest, ok := strings.CutPrefix(pod, "wherry-"+home+"-")
	if parts := strings.Split(rest, "-"); ok && len(parts) >= 3 {
		return strings.Join(parts[:len(parts)-2], "-"), true
	}
	return "", false
}
