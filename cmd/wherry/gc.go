package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/dag"
)

type gcFlags struct {
	olderThan string
	keep      int // -1: not given
	maxSize   string
	all       bool
	claims    bool
	dryRun    bool
}

func newGCCmd(g *globals) *cobra.Command {
	var f gcFlags
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free disk space: remove what nothing refers to, and old runs",
		Long: `Gc without flags removes what nothing refers to: artifacts and sources of runs
that are gone, their folders and logs, and what a crash has left behind, here and
on the engine.

With --older-than, --keep and --max-size it also forgets runs that have ended,
those that ended first before others; with several flags a run goes as soon as
one of them says so. An experiment counts as one run, and goes with the runs of
all its trials; one that has ended goes too once all these runs are gone. One
whose trials you run yourself goes with wherry delete experiment. A result that
the cache has given to a run which stays, stays. With runs go the images, layers
and Python environments that wherry has made and that were not used since the
oldest run that stays, and the files of loaded bundles in WHERRY_HOME that no run
refers to and nobody has changed since.

A run that has not ended is never touched, nor is an experiment that has not, or
a run of it. Volume claims are a person's data: they are removed only with
--claims.`,
		Example: `  wherry gc --dry-run                # what would go, and how much that is
  wherry gc --older-than 30d
  wherry gc --keep 20 --max-size 50Gi
  wherry gc --all --claims           # everything, as before deleting WHERRY_HOME`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.keep < 0 && cmd.Flags().Changed("keep") {
				return &usageError{msg: "--keep must be 0 or more", mend: "--keep 20"}
			}
			return g.gc(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.olderThan, "older-than", "", "forget runs that ended, and were used by the cache, longer ago than `AGE`: 30d, 2w, 12h")
	fl.IntVar(&f.keep, "keep", -1, "forget all but the last `N` runs")
	fl.StringVar(&f.maxSize, "max-size", "", "forget runs until what the others hold takes about `SIZE`: 20Gi")
	fl.BoolVar(&f.all, "all", false, "forget all runs that have ended, and remove what other homes on this engine share: all images that wherry built, pip's cache")
	fl.BoolVar(&f.claims, "claims", false, "remove the volume claims of this home too")
	fl.BoolVar(&f.dryRun, "dry-run", false, "list what would be removed, and change nothing")
	return cmd
}

// gcLimits are the flags as they were meant.
type gcLimits struct {
	before  time.Time // forget runs that ended before it; zero: no limit
	keep    int       // -1: no limit
	maxSize int64     // bytes; -1: no limit
	all     bool      // what other homes share too
	claims  bool
}

// noLimits is a gc without flags.
var noLimits = gcLimits{keep: -1, maxSize: -1}

// forgets reports whether runs are to be forgotten.
func (l gcLimits) forgets() bool { return !l.before.IsZero() || l.keep >= 0 || l.maxSize >= 0 }

func (f gcFlags) limits(now time.Time) (gcLimits, error) {
	l := gcLimits{keep: f.keep, maxSize: -1, all: f.all, claims: f.claims}
	if f.olderThan != "" {
		age, err := parseAge(f.olderThan)
		if err != nil {
			return l, &usageError{msg: fmt.Sprintf("--older-than %q is not an age", f.olderThan), mend: "--older-than 30d, 2w, 12h or 90m"}
		}
		l.before = now.Add(-age)
	}
	if f.maxSize != "" {
		n, err := dag.ParseBytes(f.maxSize)
		if err != nil {
			return l, &usageError{msg: fmt.Sprintf("--max-size %q is not a size", f.maxSize), mend: "--max-size 20Gi or 500M"}
		}
		l.maxSize = n
	}
	if f.all {
		l.keep = 0
	}
	return l, nil
}

// parseAge reads a number of weeks, days or what Go calls a duration.
func parseAge(text string) (time.Duration, error) {
	for unit, d := range map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseFloat(number, 64)
			if err == nil && !(n >= 0 && n < 1e5) {
				err = errors.New("out of range")
			}
			return time.Duration(n * float64(d)), err
		}
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("out of range")
	}
	return d, err
}

func (g *globals) gc(ctx context.Context, f gcFlags) error {
	limits, err := f.limits(time.Now())
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(g.Home, "wherry.db")); errors.Is(err, os.ErrNotExist) && f.dryRun {
		return g.printGC(&gcPlan{}, true) // it makes nothing
	}
	if !f.dryRun {
		unlock, err := g.lockGC()
		if err != nil {
			return err
		}
		defer unlock()
	}
	c, err := g.newGarbage(ctx, limits)
	if err != nil {
		return err
	}
	plan, err := c.plan(ctx, true)
	if err != nil {
		return err
	}
	if f.dryRun {
		return g.printGC(plan, true)
	}
	err = c.remove(ctx, plan)
	return errors.Join(g.printGC(plan, false), err)
}

// lockGC keeps a second gc out.
func (g *globals) lockGC() (unlock func(), err error) {
	if err := os.MkdirAll(g.Home, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(g.Home, "gc.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &workError{state: dag.Failed, msg: "another wherry gc is at work in " + g.Home, mend: "wait for its end"}
	}
	return func() { f.Close() }, nil
}
