package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/sqlite"
)

var gcNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aged is a run that ended so many days ago.
func aged(id string, days int, state dag.State, digests ...string) runFacts {
	at := gcNow.AddDate(0, 0, -days)
	r := runFacts{RunRow: sqlite.RunRow{ID: id, State: state, Created: at.Add(-time.Minute)}, digests: digests}
	if state.Ended() {
		r.Ended = at
	}
	return r
}

func TestChooseRuns(t *testing.T) {
	driven := aged("driven", 50, dag.Succeeded)
	driven.driven = true
	runs := []runFacts{
		aged("a", 40, dag.Succeeded, "big"), aged("open", 60, dag.Running), aged("b", 20, dag.Failed, "big", "small"),
		driven, aged("c", 1, dag.Canceled, "small"),
	}
	sizes := map[string]int64{"big": 100, "small": 10}
	for want, l := range map[string]gcLimits{
		"":      noLimits,
		"a":     {before: gcNow.AddDate(0, 0, -30), keep: -1, maxSize: -1},
		"a b":   {keep: 1, maxSize: -1},
		"a b c": {keep: 0, maxSize: -1},
		"b a":   {keep: -1, maxSize: 50}, // c fits, b's does not; a is older
	} {
		forget := chooseRuns(runs, sizes, l)
		if got, want := sortedNames(forget), strings.Fields(want); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%+v: %v, want %v", l, forget, want)
		}
	}
	if forget := chooseRuns(runs, sizes, gcLimits{keep: -1, maxSize: 110}); len(forget) > 0 { // big is there once
		t.Errorf("what fits was forgotten: %v", forget)
	}
}

// TestChooseRunsProperty: whatever the limits, who has not ended or is driven
// stays, what stays of the rest keeps to every limit, and with one limit alone it
// is the newest that stay.
func TestChooseRunsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := map[string]int64{}
		var runs []runFacts
		for i := range rapid.IntRange(0, 8).Draw(t, "runs") {
			state := rapid.SampledFrom([]dag.State{dag.Succeeded, dag.Failed, dag.Running, dag.Canceling}).Draw(t, "state")
			r := aged(fmt.Sprint("r", i), rapid.IntRange(0, 9).Draw(t, "days"), state, rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "digest"))
			r.driven = rapid.IntRange(0, 4).Draw(t, "driven") == 0
			r.bytes = rapid.Int64Range(0, 3).Draw(t, "bytes")
			sizes[r.digests[0]] = int64(len(sizes) + 1)
			runs = append(runs, r)
		}
		l := gcLimits{keep: rapid.IntRange(-1, 8).Draw(t, "keep"), maxSize: rapid.Int64Range(-1, 20).Draw(t, "size")}
		if rapid.Bool().Draw(t, "age") {
			l.before = gcNow.AddDate(0, 0, -rapid.IntRange(0, 9).Draw(t, "before"))
		}
		forget := chooseRuns(runs, sizes, l)
		free, held, used := 0, int64(0), map[string]bool{}
		for _, r := range runs {
			switch why := forget[r.ID]; {
			case why != "" && (r.driven || !r.State.Ended()):
				t.Fatalf("%+v goes", r)
			case why != "":
				continue
			case r.State.Ended() && !r.driven:
				free++
				if !l.before.IsZero() && r.Ended.Before(l.before) {
					t.Fatalf("%+v stays", r)
				}
			}
			held += r.bytes
			if !used[r.digests[0]] {
				held += sizes[r.digests[0]]
			}
			used[r.digests[0]] = true
		}
		if l.keep >= 0 && free > l.keep {
			t.Fatalf("%d stay", free)
		}
		if l.maxSize >= 0 && held > l.maxSize && free > 0 {
			t.Fatalf("%d bytes stay of %+v", held, maps.Collect(maps.All(forget)))
		}
		if !l.forgets() && len(forget) > 0 {
			t.Fatalf("without limits %v goes", forget)
		}
	})
}

// TestJudge: what of the engine goes with runs.
func TestJudge(t *testing.T) {
	g := &globals{Home: "/home/me/wherry"}
	volume := func(kind, name string) runner.Holding {
		return runner.Holding{Kind: runner.HoldingVolume, Name: "wherry-" + g.homeID() + "-" + kind + "-" + name, Own: true}
	}
	day := func(n int) time.Time { return gcNow.AddDate(0, 0, -n) }
	layer := func(days int, own bool) runner.Holding {
		return runner.Holding{Kind: runner.HoldingImage, Name: "wherry/layer:x", Used: day(days), Own: own}
	}
	busy := layer(90, true)
	busy.Busy = true
	keep := gcLimits{keep: 2, maxSize: -1}
	all := gcLimits{keep: 0, maxSize: -1, all: true}
	for _, c := range []struct {
		what  string
		h     runner.Holding
		l     gcLimits
		goes  bool
		stays bool // is said to stay
	}{
		{"a layer without flags", layer(90, true), noLimits, false, false},
		{"a layer that no run which stays has used", layer(90, true), keep, true, false},
		{"one that was used since", layer(5, true), keep, false, false},
		{"one that another home uses", layer(90, false), keep, false, false},
		{"and with --all", layer(90, false), all, true, false},
		{"one that a container has", busy, all, false, false},
		{"pip's cache", runner.Holding{Kind: runner.HoldingCache, Own: true}, keep, false, false},
		{"pip's cache with --all", runner.Holding{Kind: runner.HoldingCache, Own: true}, all, true, false},
		{"pip's cache, too large", runner.Holding{Kind: runner.HoldingCache, Own: true, Bytes: 2}, gcLimits{keep: -1, maxSize: 1}, true, false},
		{"that of an earlier version", runner.Holding{Kind: runner.HoldingCache}, noLimits, false, true},
		{"too large", runner.Holding{Kind: runner.HoldingCache, Bytes: 2}, gcLimits{keep: -1, maxSize: 1}, false, true},
		{"with --all", runner.Holding{Kind: runner.HoldingCache}, all, true, false},
		{"what a build left", runner.Holding{Kind: runner.HoldingBuild}, noLimits, true, false},
		{"a claim", volume("claim", "data-1"), all, false, true},
		{"a claim with --claims", volume("claim", "data-1"), gcLimits{keep: -1, maxSize: -1, claims: true}, true, false},
		{"the workspace of a run that failed", volume("workspace", "failed"), noLimits, false, false},
		{"of one that ended well", volume("workspace", "well"), noLimits, true, false},
		{"of one that is gone", volume("workspace", "gone"), noLimits, true, false},
		{"another home's volume", runner.Holding{Kind: runner.HoldingVolume, Name: "wherry-0-workspace-gone"}, all, false, false},
	} {
		gc := garbage{g: g, limits: c.l, stay: map[string]*runFacts{}}
		for _, r := range []runFacts{aged("failed", 10, dag.Failed), aged("well", 10, dag.Succeeded)} {
			gc.stay[r.ID] = &r
		}
		why, stays := gc.judge(c.h, day(10))
		if (why != "") != c.goes || (stays != "") != c.stays {
			t.Errorf("%s: goes %q, stays %q", c.what, why, stays)
		}
	}
	open := aged("open", 1, dag.Running)
	gc := garbage{g: g, limits: gcLimits{claims: true}, stay: map[string]*runFacts{"open": &open}}
	for _, kind := range []string{"claim", "workspace"} {
		if why, _ := gc.judge(volume(kind, "open"), day(10)); why != "" {
			t.Errorf("a %s goes beside a run that may need it", kind)
		}
	}
}

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "2w": 336 * time.Hour, "1.5d": 36 * time.Hour, "90m": 90 * time.Minute, "0d": 0} {
		if got, err := parseAge(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "30", "d", "-1d", "-1h", "NaNd", "1e9w", "month"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestRunOfPod(t *testing.T) {
	pod := runner.PodName("0a1b2c3d", "x-y", 12, 3)
	if run, ok := runOfPod("0a1b2c3d", pod); !ok || run != "x-y" {
		t.Errorf("%q, %t", run, ok)
	}
	for _, name := range []string{"build-sha256-0.lock", "wherry-other-x-1-1", ".live", "wherry-0a1b2c3d-x"} {
		if run, ok := runOfPod("0a1b2c3d", name); ok {
			t.Errorf("%s is of run %q", name, run)
		}
	}
}
