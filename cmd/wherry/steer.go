package main

import (
	"strconv"

	"github.com/spf13/pflag"

	"github.com/wherry-ml/wherry/dag"
)

// cacheFlags are --cache and --no-cache[=TASK].
type cacheFlags struct {
	on    bool
	off   bool     // for all tasks
	tasks []string // for these
}

func (c *cacheFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&c.on, "cache", false, "use the cache, whatever the file says")
	fl.Var((*noCacheValue)(c), "no-cache", "`[=TASK]`: run every step, or that one, cached or not (repeatable)")
	fl.Lookup("no-cache").NoOptDefVal = "true"
}

func (c *cacheFlags) check() error {
	if c.on && c.off {
		return &usageError{msg: "--cache and --no-cache exclude each other", mend: "--no-cache=TASK goes with --cache"}
	}
	return nil
}

func (c *cacheFlags) mode() dag.CacheMode {
	switch {
	case c.on:
		return dag.CacheOn
	case c.off:
		return dag.CacheOff
	}
	return dag.CacheFormat
}

// noCacheValue is the value of --no-cache: a task, or true where there is none.
type noCacheValue cacheFlags

// Set implements pflag.Value.
func (c *noCacheValue) Set(text string) error {
	if all, err := strconv.ParseBool(text); err == nil {
		c.off = all
		return nil
	}
	c.tasks = append(c.tasks, text)
	return nil
}

// Type implements pflag.Value.
func (c *noCacheValue) Type() string { return "bool" } // its help shows no default then

// String implements pflag.Value.
func (c *noCacheValue) String() string { return strconv.FormatBool(c.off) }

// steer puts what is said of single tasks into a run's options, by their whole
// paths.
func steer(p *dag.Pipeline, o *dag.RunOptions, noCache, from []string) error {
	for _, list := range []struct {
		named []string
		into  *[]string
	}{{noCache, &o.NoCache}, {from, &o.From}} {
		for _, name := range list.named {
			path, err := p.FindTask(name)
			if err != nil {
				return err
			}
			*list.into = append(*list.into, path)
		}
	}
	return nil
}
