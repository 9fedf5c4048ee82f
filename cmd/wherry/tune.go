package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

type tuneFlags struct {
	run         runFlags
	command     []string // in place of a file
	image       string   // that it runs in
	trial       string
	space       []string
	minimize    []string
	maximize    []string
	goal        float64
	hasGoal     bool
	metrics     []string
	algorithm   string
	settings    []string
	stopping    string
	constraints []string
	warm        []string
	maxTrials   int
	parallel    int
	maxFailed   int
	seed        uint64
	resume      bool
}

func newTuneCmd(g *globals) *cobra.Command { return tuneCmd(g.tune) }

// tuneCmd is the command that hands its flags to run: a tuning step of a pipeline has
// the same.
func tuneCmd(run func(context.Context, tuneFlags, func(string) bool) error) *cobra.Command {
	var f tuneFlags
	cmd := &cobra.Command{
		Use:   "tune FILE | tune -s … [--image NAME] -- COMMAND",
		Short: "Search for the best parameters of a pipeline, a job or a command",
		Long: `Tune runs trials: the same pipeline or job with parameters that an algorithm chooses
by what earlier trials have measured. FILE is a Katib Experiment, a Suggestion, or any
pipeline that wherry run takes, with -s for each parameter that is searched:

  lr=log(1e-4,1e-1)        a number on a logarithmic scale
  dropout=uniform(0,0.5)   a number; uniform(0,0.5,0.1) in steps; normal(0,1)
  depth=int(2,12)          a whole number; logint(16,1024)
  units=discrete(32,64,96) one of some numbers
  kind=choice(rf,gb)       one of some words
  gamma=log(1e-3,1) if kind=rf   only while another has that value (a|b: or that)

After -- comes a command instead of a file, in which {lr} stands for a parameter's value.

A pipeline's metric is an output parameter, a value of a Metrics artifact, or a line
name=value or "name: value" that a step prints. Each trial is a run: logs, diff, lineage
and rerun know it by its name. What a kill left behind, --resume goes on with.`,
		Example: `  wherry tune experiment.yaml
  wherry tune pipeline.yaml -s 'lr=log(1e-4,1e-1)' -s 'depth=int(2,12)' -s 'kind=choice(rf,gb)' \
      --maximize accuracy --max-trials 50 --parallel 4
  wherry tune -s 'lr=log(1e-4,1e-1)' --minimize loss --backend process -- python3 train.py --lr={lr}
  wherry tune experiment.yaml --resume --max-trials 100
  wherry get trials last; wherry describe experiment/last`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case dash == 0:
				f.command = args
			case len(args) > 1:
				return &usageError{msg: fmt.Sprintf("one FILE, not %d", len(args)), mend: "wherry tune -s … -- COMMAND runs a command; quotes around each -s"}
			default:
				f.run.file = args[0]
			}
			f.hasGoal = cmd.Flags().Changed("goal")
			return run(cmd.Context(), f, cmd.Flags().Changed)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.image, "image", "", "`NAME` of the image that a command after -- runs in")
	fl.StringVar(&f.trial, "trial", "", "`FILE` that a trial runs, for a Suggestion that names none")
	f.addSearch(fl)
	fl.IntVar(&f.maxTrials, "max-trials", 20, "run `N` trials in all; 0: until the space is exhausted")
	fl.IntVar(&f.parallel, "parallel", min(3, runtime.NumCPU()), "run `N` trials at once")
	fl.IntVar(&f.maxFailed, "max-failed", 3, "give up once more than `N` trials have failed")
	fl.BoolVar(&f.resume, "resume", false, "go on with the newest experiment of this name; --max-trials may be larger than before")
	fl.StringArrayVarP(&f.run.params, "param", "p", nil, "`NAME=VALUE` of a parameter that is the same in all trials (repeatable)")
	fl.StringVar(&f.run.paramsFile, "params", "", "YAML or JSON `FILE` with such parameters")
	fl.StringArrayVarP(&f.run.mounts, "volume", "v", nil, "`SRC:DST[:ro]` mounted in every step")
	fl.StringArrayVar(&f.run.secrets, "secret", nil, "`NAME[/KEY]=FILE|DIR|env:VAR` of a secret (repeatable)")
	fl.StringArrayVar(&f.run.configMaps, "config-map", nil, "`NAME[/KEY]=FILE|DIR|env:VAR` of a config map (repeatable)")
	fl.StringVar(&f.run.backend, "backend", "docker", "`NAME` of what runs the steps: docker or process")
	fl.StringVar(&f.run.name, "name", "", "`NAME` of the experiment")
	fl.StringVar(&f.run.platform, "platform", "", "`OS/ARCH` of the images")
	fl.StringVar(&f.run.network, "network", "on", "`MODE` of the steps' network: on or none")
	f.run.cache.add(fl)
	fl.BoolVar(&f.run.noLayers, "no-layers", false, "run commands as they are written")
	f.run.python.add(fl)
	fl.BoolVar(&f.run.dryRun, "dry-run", false, "read, check and print the plan; needs no engine and changes nothing")
	return cmd
}

// addSearch adds the flags that say what is searched and how.
func (f *tuneFlags) addSearch(fl *pflag.FlagSet) {
	fl.StringArrayVarP(&f.space, "space", "s", nil, "`NAME=KIND(…)` of a parameter to search (repeatable)")
	fl.StringArrayVar(&f.minimize, "minimize", nil, "`METRIC` to make small (repeatable: several objectives)")
	fl.StringArrayVar(&f.maximize, "maximize", nil, "`METRIC` to make large (repeatable)")
	fl.Float64Var(&f.goal, "goal", 0, "`VALUE` of the objective at which to stop")
	fl.StringArrayVar(&f.metrics, "metric", nil, "further `METRIC` to keep (repeatable)")
	fl.StringArrayVar(&f.constraints, "constraint", nil, "`CONDITION` in CEL that a trial keeps: over parameters it is never tried otherwise, over metrics it can't be the best (repeatable)")
	fl.StringArrayVar(&f.warm, "warm-start", nil, "`EXPERIMENT` whose trials count as known (repeatable)")
	fl.StringVar(&f.algorithm, "algorithm", "auto", "`NAME` of the algorithm: "+strings.Join(suggest.Names(), ", "))
	fl.StringArrayVar(&f.settings, "setting", nil, "`NAME=VALUE` of the algorithm (repeatable)")
	fl.StringVar(&f.stopping, "early-stopping", "", "`NAME` of what stops trials early: medianstop or asha")
	fl.Uint64Var(&f.seed, "seed", 0, "`SEED` of the algorithm: the same seed and measurements give the same parameters")
}

// tune prepares an experiment, or finds the one to go on with, and drives it.
func (g *globals) tune(ctx context.Context, f tuneFlags, changed func(string) bool) error {
	e, job, err := g.prepareExperiment(ctx, f, changed)
	if err == nil {
		err = g.warmStart(ctx, e, f.warm)
	}
	if err != nil {
		return err
	}
	if f.run.dryRun {
		return g.showExperiment(e)
	}
	if f.resume {
		return g.resumeExperiment(ctx, e, changed("max-trials") || e.File != "")
	}
	runner, q, err := g.trialRunner(ctx, e.Trial.Options, e.ID)
	if err != nil {
		return err
	}
	defer g.letGo()
	job.run.Options = e.Trial.Options
	if err := checkSizes(job, q); err != nil {
		return err
	}
	if err := dag.CheckGiven(job.run); err != nil {
		return &usageError{msg: err.Error(), mend: hintText(err)}
	}
	if err := checkBackend(job, runner.driver.Backend, g.Home); err != nil {
		return err
	}
	if err := g.snapshot(ctx, job.run); err != nil { // once: all trials see the same
		return err
	}
	e.Trial.Options = job.run.Options
	for _, n := range append(job.pipeline.Notes, e.Notes...) {
		g.note("note: " + strings.ReplaceAll(strings.TrimSpace(n), "\n", "\n      "))
	}
	lock, err := g.lockRun(ctx, e.ID)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := runner.db.CreateExperiment(ctx, e); err != nil {
		return err
	}
	return g.driveExperiment(ctx, e, nil, runner, lock)
}

// driveExperiment drives a stored experiment to its end and prints the result. The
// caller holds its lock. trials are those that are on record.
func (g *globals) driveExperiment(ctx context.Context, e *tuner.Experiment, trials []*tuner.Trial, r *trialRunner, lock *runLock) error {
	p := newTuneProgress(g, e, trials)
	r.note = p.note
	c := &tuner.Controller{Store: r.db, Runner: r, Observe: p.observe, Beat: lock.beat}
	ctx, stop := withHangup(ctx)
	defer stop()
	asBefore := goOnUnread()
	e, trials, err := c.Drive(ctx, e.ID)
	p.close()
	asBefore()
	if err != nil {
		return &experimentError{e: e, err: err}
	}
	return g.printExperiment(e, trials)
}

// withHangup makes of the cause that leaves a run's pods running the one that leaves
// trials running.
func withHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if errors.Is(cause, dag.ErrHangup) {
			cause = tuner.ErrLeave
		}
		cancel(cause)
	})
	return out, func() { stop(); cancel(nil) }
}

// experimentError says that an experiment could not be driven to its end, and can go on.
type experimentError struct {
	e   *tuner.Experiment
	err error
}

func (x *experimentError) Error() string {
	return fmt.Sprintf("experiment %s is not finished: %v", x.e.Name, x.err)
}

func (x *experimentError) Unwrap() error { return x.err }

// Hint says what to do next.
func (x *experimentError) Hint() string {
	return fmt.Sprintf("wherry resume %s goes on with it, nothing is lost", x.e.ID)
}

// prepareExperiment reads and checks everything that an experiment is made of.
func (g *globals) prepareExperiment(ctx context.Context, f tuneFlags, changed func(string) bool) (*tuner.Experiment, *job, error) {
	if f.command == nil {
		k, err := sniffKatib(f.run.file)
		if err != nil {
			return nil, nil, err
		}
		if k != nil {
			return g.prepareKatib(ctx, k, f, changed)
		}
	}
	parameters, err := parseSpace(f.space)
	if err != nil {
		return nil, nil, err
	}
	e, err := f.search(parameters)
	if err != nil {
		return nil, nil, err
	}
	run := f.run
	given := map[string]bool{}
	for _, p := range run.params {
		name, _, _ := strings.Cut(p, "=")
		given[name] = true
	}
	for i := range parameters {
		p := &parameters[i]
		if given[p.Name] {
			return nil, nil, &usageError{msg: fmt.Sprintf("parameter %q is given by -p and searched by -s", p.Name), mend: "leave out one of them"}
		}
		run.params = append(run.params, p.Name+"="+p.Format(p.Round(p.Min))) // stands in: Bind checks it
	}
	if f.command != nil {
		if run.loaded, err = commandPipeline(f.command, parameters, &run, f.image); err != nil {
			return nil, nil, err
		}
	}
	job, err := g.prepareRun(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	e.File, e.MaxFailed = job.pipeline.File, &f.maxFailed
	if e.Name == "" {
		e.Name = job.pipeline.Name
	}
	e.Trial = tuner.Template{Pipeline: job.pipeline, Options: job.run.Options, Fixed: job.run.Parameters}
	for _, p := range parameters {
		delete(e.Trial.Fixed, p.Name)
		e.Trial.Parameters = append(e.Trial.Parameters, tuner.Binding{Input: p.Name, Parameter: p.Name})
	}
	return e, job, checkExperiment(e)
}

// search is the experiment that flags describe, without its trials.
func (f *tuneFlags) search(parameters []tuner.Parameter) (*tuner.Experiment, error) {
	if len(f.minimize)+len(f.maximize) == 0 {
		return nil, &usageError{msg: "nothing says what is to be made better", mend: "--maximize METRIC or --minimize METRIC"}
	}
	e := &tuner.Experiment{
		ID: newID(), Name: f.run.name, Algorithm: tuner.Algorithm{Name: f.algorithm},
		Parameters: parameters, Additional: f.metrics, Constraints: f.constraints, Parallel: f.parallel, MaxTrials: f.maxTrials,
		Seed: f.seed, ResumePolicy: tuner.ResumeLongRunning, Collector: tuner.Collector{Kind: tuner.Outputs},
		State: tuner.Created, Created: time.Now(),
	}
	for _, m := range f.maximize {
		e.Objectives = append(e.Objectives, tuner.Objective{Metric: m, Maximize: true})
	}
	for _, m := range f.minimize {
		e.Objectives = append(e.Objectives, tuner.Objective{Metric: m})
	}
	if f.hasGoal {
		e.Objectives[0].Goal = &f.goal
	}
	if f.stopping != "" {
		e.Stopping = &tuner.Algorithm{Name: f.stopping}
	}
	for _, s := range f.settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, &usageError{msg: fmt.Sprintf("--setting %q is not NAME=VALUE", s), mend: "--setting random_state=1"}
		}
		e.Algorithm.Settings = append(e.Algorithm.Settings, suggest.Setting{Name: name, Value: value})
	}
	return e, nil
}

// warmStart finds the experiments whose trials count as known.
func (g *globals) warmStart(ctx context.Context, e *tuner.Experiment, refs []string) error {
	for _, ref := range refs {
		db, err := g.database(ctx)
		if err != nil {
			return err
		}
		row, err := db.FindExperiment(ctx, ref)
		if err != nil {
			return err
		}
		from, trials, _, err := db.LoadExperiment(ctx, row.ID, false)
		if err != nil {
			return err
		}
		n := len(e.Warm(from, trials))
		if n == 0 {
			return &usageError{msg: fmt.Sprintf("no trial of experiment %s fits: its parameters, their ranges or its metric are others", row.Name), mend: "wherry describe " + row.ID}
		}
		g.note(fmt.Sprintf("note: %d of %d trials of %s count as known", n, len(trials), row.Name))
		e.WarmFrom = append(e.WarmFrom, row.ID)
	}
	return checkExperiment(e)
}

// parseSpace reads the -s flags.
func parseSpace(list []string) ([]tuner.Parameter, error) {
	var out []tuner.Parameter
	for _, text := range list {
		p, err := tuner.ParseParameter(text, out)
		if err != nil {
			return nil, &usageError{msg: "-s " + err.Error(), mend: "-s 'lr=log(1e-4,1e-1)', see wherry tune --help"}
		}
		if slices.ContainsFunc(out, func(q tuner.Parameter) bool { return q.Name == p.Name }) {
			return nil, &usageError{msg: fmt.Sprintf("-s %s is given twice", p.Name), mend: "leave out one of them"}
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, &usageError{msg: "there is no parameter to search", mend: "-s 'lr=log(1e-4,1e-1)' for each, see wherry tune --help"}
	}
	return out, nil
}

// checkExperiment refuses, before anything starts, what can't be searched.
func checkExperiment(e *tuner.Experiment) error {
	_, err := suggest.New(e.Algorithm.Name, e.Algorithm.Settings)
	if err == nil && e.Stopping != nil {
		_, err = suggest.NewStopper(e.Stopping.Name, e.Stopping.Settings)
	}
	switch {
	case err != nil:
		return &usageError{msg: err.Error(), mend: "wherry tune --help"}
	case e.Parallel < 1:
		return &usageError{msg: "--parallel must be 1 or more"}
	case e.CheckConstraints() != nil:
		return &usageError{msg: e.CheckConstraints().Error(), mend: "--constraint 'lr * 10.0 < dropout', in CEL"}
	case len(e.WarmFrom) > 0 && e.CheckWarm() != nil:
		return &usageError{msg: e.CheckWarm().Error(), mend: "--algorithm tpe"}
	case e.MaxTrials < 0:
		return &usageError{msg: "--max-trials must be 0 or more"}
	}
	return nil
}
