package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

type rerunFlags struct {
	ref    string
	params []string
	from   []string
	only   string
	name   string
	cache  cacheFlags
	dryRun bool
	detach bool
}

func newRerunCmd(g *globals) *cobra.Command {
	var f rerunFlags
	cmd := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run a stored run's pipeline again, with changes",
		Long: `Rerun makes a new run of the pipeline and options of a run that has ended, however it
ended. Mounted sources are read anew. What has not changed is taken from the cache.

--from TASK runs a task and all that depends on it, cached or not; the others' results
are those of that run, also of tasks that are never cached, unless their inputs differ.
--only TASK runs that task alone, with the inputs that it had in that run.
A TASK is a path, or the end of one: train, middle/inner, for-loop-1/train (in each
iteration), for-loop-1[2]/train.`,
		Example: `  wherry rerun last
  wherry rerun last -p learning_rate=0.1
  wherry rerun last --from train
  wherry rerun nightly --only 'for-loop-1[2]/train' -p epochs=3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.ref = args[0]
			return g.rerun(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.params, "param", "p", nil, "`NAME=VALUE` of a parameter that changes (repeatable)")
	fl.StringArrayVar(&f.from, "from", nil, "run `TASK` and all that depends on it anew (repeatable)")
	fl.StringVar(&f.only, "only", "", "run `TASK` alone")
	fl.StringVar(&f.name, "name", "", "`NAME` of the new run")
	f.cache.add(fl)
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the plan; needs no engine and changes nothing")
	fl.BoolVarP(&f.detach, "detach", "d", false, "go on in the background and print the run's id")
	return cmd
}

func (g *globals) rerun(ctx context.Context, f rerunFlags) error {
	job, err := g.prepareRerun(ctx, f)
	if err != nil {
		return err
	}
	if f.dryRun {
		return g.showPlan(job)
	}
	return g.startRun(ctx, job, f.detach)
}

// prepareRerun makes a new run of what is stored of another.
func (g *globals) prepareRerun(ctx context.Context, f rerunFlags) (*job, error) {
	if err := errors.Join(f.cache.check(), checkRunName(f.name)); err != nil {
		return nil, err
	}
	if f.only != "" && len(f.from) > 0 {
		return nil, &usageError{msg: "--from and --only exclude each other", mend: "--from runs what depends on the task too"}
	}
	db, err := g.database(ctx)
	if err != nil {
		return nil, err
	}
	base, executions, task, err := g.findWork(ctx, db, f.ref)
	if err != nil {
		return nil, err
	}
	if task != nil {
		return nil, &usageError{msg: fmt.Sprintf("%q names a task; rerun takes a run", f.ref), mend: fmt.Sprintf("wherry rerun %s --from %s, or --only %[2]s", base.ID, task.Path)}
	}
	if !base.State.Ended() {
		return nil, &usageError{msg: fmt.Sprintf("run %s has not ended: it is %s", base.Name, base.State), mend: fmt.Sprintf("wherry resume %s goes on with it, wherry cancel %s ends it", base.ID, base.ID)}
	}
	id := newID()
	run := &dag.Run{ID: id, Name: f.name, Pipeline: base.Pipeline, Options: optionsAgain(base, f), State: dag.Pending, Created: time.Now()}
	if run.Name == "" {
		run.Name = base.Pipeline.Name + "-" + id[:5]
	}
	if err := steer(base.Pipeline, &run.Options, f.cache.tasks, f.from); err != nil {
		return nil, err
	}
	if err := checkIterations(base, executions, f, append(run.Options.NoCache, run.Options.From...)); err != nil {
		return nil, err
	}
	if f.only != "" {
		if run.Options.Only, err = only(base, executions, f.only); err != nil {
			return nil, err
		}
	}
	if run.Parameters, err = changeParameters(base, f.params); err != nil {
		return nil, err
	}
	file := &source.File{Name: base.Pipeline.File}
	return &job{loaded: &loaded{file: file, pipeline: base.Pipeline}, run: run, project: &project{}}, nil
}

// optionsAgain are a run's options without what was of that run alone.
func optionsAgain(base *dag.Run, f rerunFlags) dag.RunOptions {
	o := base.Options
	o.Experiment = "" // of a trial: it is none of them
	o.NoCache, o.From, o.Only, o.Base, o.Watch = nil, nil, "", "", ""
	if mode := f.cache.mode(); mode != dag.CacheFormat || o.Cache == dag.CacheOff {
		o.Cache = mode
	}
	if len(f.from) > 0 || f.only != "" {
		o.Base = base.ID
	}
	o.Imports, o.Workspace = "", "" // places of that run; startRun says where they are
	return o
}

// checkIterations refuses the iteration of a loop that there will not be again: the
// base run had all of them, and the parameters are the same.
func checkIterations(base *dag.Run, executions []*dag.Execution, f rerunFlags, paths []string) error {
	for _, path := range paths {
		if !strings.Contains(path, "[") || base.State != dag.Succeeded || len(f.params) > 0 {
			continue
		}
		if !slices.ContainsFunc(executions, func(x *dag.Execution) bool { return dag.TaskHolds(path, x.Path) }) {
			return &usageError{msg: fmt.Sprintf("run %s had no task %q", base.Name, path), mend: "wherry get tasks " + base.ID}
		}
	}
	return nil
}

// only returns the whole path of the task that alone is to run. It must have had
// inputs in the base run.
func only(base *dag.Run, executions []*dag.Execution, name string) (string, error) {
	path, err := base.Pipeline.FindTask(name)
	if err != nil {
		return "", err
	}
	for _, x := range executions {
		if !dag.TaskHolds(path, x.Path) || x.Started.IsZero() {
			continue
		}
		if x.Kind.Runs() && dag.UsesWorkspace(base, x) {
			return "", &usageError{msg: fmt.Sprintf("task %q works in the workspace of its run, which a new run does not have", x.Path), mend: fmt.Sprintf("wherry rerun %s --from TASK, with the first task that writes there", base.ID)}
		}
		return path, nil
	}
	return "", &usageError{msg: fmt.Sprintf("task %q did not run in run %s: it had no inputs there", path, base.Name), mend: fmt.Sprintf("wherry describe %s says why; wherry rerun %s --from %s runs it with what it needs", base.ID, base.ID, path)}
}

// changeParameters returns the base run's parameters with what -p says.
func changeParameters(base *dag.Run, flags []string) (map[string]any, error) {
	values := maps.Clone(base.Parameters)
	text := map[string]string{}
	for _, p := range flags {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, &usageError{msg: fmt.Sprintf("-p %q is not NAME=VALUE", p), mend: "-p learning_rate=0.1"}
		}
		if uri := value; base.Pipeline.GivenArtifact(name) {
			if !strings.Contains(uri, "://") {
				abs, err := filepath.Abs(uri)
				if err != nil {
					return nil, err
				}
				uri = abs
			}
			base.Pipeline.GiveAgain(name, uri)
			continue
		}
		text[name] = value
		delete(values, name)
	}
	return base.Pipeline.Bind(text, values)
}
