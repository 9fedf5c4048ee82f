package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
)

type runFlags struct {
	file        string
	loaded      *loaded // in place of file: what was made already
	params      []string
	paramsFile  string
	mounts      []string
	secrets     []string
	configMaps  []string
	backend     string
	name        string
	platform    string
	network     string
	python      pythonFlags
	maxParallel int
	cache       cacheFlags
	from        []string
	noLayers    bool
	dryRun      bool
	detach      bool
	watch       bool
	reads       func(files []string) // told what a .py file is made of; may be nil

	// Of a watch in wherry.yaml alone.
	watchKey string         // see dag.RunOptions.Watch
	base     string         // folder that relative paths are seen from; empty: the current one
	values   map[string]any // as params, typed
}

func newRunCmd(g *globals) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline file",
		Long: `Run reads a pipeline file, checks it, and runs its tasks as containers, as many at
once as the machine has room for. A task whose image, command, inputs and mounted
sources have not changed is taken from the cache. A wherry.yaml beside the file, or
in a folder above it, says what image names mean here, what is mounted, and more.

A source (-v SRC:DST:ro) is snapshotted when the run starts, without .git and the like,
__pycache__, and what is in folders that are mounted by themselves. Of it counts what a
step reads. With :ro,live a large one is not copied: its files' names, sizes, times and
inodes count, and a step during which they change is not remembered.

With --watch it stays, and runs the file again when something that the run is made of is
saved: the file, what a .py imports and reads, :ro sources, wherry.yaml, parameter files,
what images are built from, files that are imported. Steps that still run and are not
affected go on. It ends with Ctrl-C or q, as its last run did; with -o json there is a
line for each run.

` + givenHelp,
		Example: `  wherry run pipeline.yaml
  wherry run pipeline.yaml -p learning_rate=0.1 -v ./src:/app:ro
  wherry run pipeline.yaml -v ./src:/app:ro -v ~/datasets:/data:ro,live
  wherry run pipeline.py                  # compiled with your kfp
  wherry run steps.py --component train -p epochs=3
  wherry run pipeline.yaml --from train   # train and what follows, cached or not
  wherry run pipeline.yaml --dry-run
  wherry run pipeline.yaml --watch -v ./src:/app:ro   # again with each save
  wherry run pipeline.yaml -o json | jq .run.outputs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.file = args[0]
			if f.watch {
				return g.watchPipeline(cmd.Context(), f)
			}
			return g.runPipeline(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.params, "param", "p", nil, "`NAME=VALUE` of a parameter (repeatable)")
	fl.StringVar(&f.paramsFile, "params", "", "YAML or JSON `FILE` with parameters")
	fl.StringArrayVarP(&f.mounts, "volume", "v", nil, "`SRC:DST[:ro[,live]]` mounted in every step; with :ro a source that is snapshotted and part of the cache key, with live used as it is")
	fl.StringArrayVar(&f.secrets, "secret", nil, "`NAME[/KEY]=FILE|DIR|env:VAR` of a secret that the pipeline names (repeatable)")
	fl.StringArrayVar(&f.configMaps, "config-map", nil, "`NAME[/KEY]=FILE|DIR|env:VAR` of a config map that the pipeline names (repeatable)")
	fl.StringVar(&f.backend, "backend", "docker", "`NAME` of what runs the steps: docker or process")
	fl.StringVar(&f.name, "name", "", "`NAME` of the run")
	fl.StringVar(&f.platform, "platform", "", "`OS/ARCH` of the images, such as linux/amd64")
	fl.StringVar(&f.network, "network", "on", "`MODE` of the steps' network: on or none")
	fl.IntVar(&f.maxParallel, "max-parallel", 0, "run at most `N` steps at once (0: as many as fit)")
	f.cache.add(fl)
	fl.StringArrayVar(&f.from, "from", nil, "run `TASK` and all that depends on it anew, cached or not (repeatable)")
	fl.BoolVar(&f.noLayers, "no-layers", false, "run commands as they are written: a step that installs packages does so every time")
	fl.BoolVar(&f.dryRun, "dry-run", false, "read, check and print the plan; needs no engine and changes nothing")
	f.python.add(fl)
	fl.BoolVarP(&f.detach, "detach", "d", false, "go on in the background and print the run's id")
	fl.BoolVarP(&f.watch, "watch", "w", false, "stay, and run again what a save affects")
	return cmd
}

// noteMayNeed says which secrets and config maps a step would miss if a condition
// or a loop came to it.
func noteMayNeed(run *dag.Run) {
	if err := dag.MayNeed(run); err != nil {
		run.Pipeline.Notes = append(run.Pipeline.Notes, "may need: "+err.Error()+"; try: "+hintText(err))
	}
}

func (g *globals) runPipeline(ctx context.Context, f runFlags) error {
	job, err := g.prepareRun(ctx, f)
	if err == nil {
		err = g.checkSearches(ctx, job)
	}
	if err != nil {
		return err
	}
	if f.dryRun {
		return g.showPlan(job)
	}
	return g.startRun(ctx, job, f.detach)
}

// showPlan prints what a run would do.
func (g *globals) showPlan(job *job) error {
	if err := dag.CheckGiven(job.run); err != nil {
		job.run.Pipeline.Notes = append(job.run.Pipeline.Notes, "needs: "+err.Error()+"; try: "+hintText(err))
	}
	noteMayNeed(job.run)
	return g.printPlan(job)
}

// startRun begins a prepared run and drives it to its end.
func (g *globals) startRun(ctx context.Context, job *job, detach bool) error {
	p := newProgress(g)
	asBefore := goOnUnread()
	driver, lock, err := g.begin(ctx, job, p)
	asBefore()
	if err != nil {
		return err
	}
	defer lock.Close()
	defer g.letGo()
	if detach {
		return g.detach(job.run.ID, lock)
	}
	return g.drive(ctx, driver, lock, job.run.ID, p)
}

// begin checks a prepared run against what is there to run it, snapshots its sources
// and stores it. The caller drives it, and then closes its lock and lets go.
func (g *globals) begin(ctx context.Context, job *job, p *progress) (*dag.Driver, *runLock, error) {
	driver, q, err := g.driver(ctx, job.run.ID, job.run.Options, p.observe)
	if err != nil {
		return nil, nil, err
	}
	lock, err := g.store(ctx, job, driver, q)
	if err != nil {
		g.letGo()
		return nil, nil, err
	}
	return driver, lock, nil
}

// store checks and stores a run that driver will drive, and takes its lock.
func (g *globals) store(ctx context.Context, job *job, driver *dag.Driver, q *queue.Queue) (*runLock, error) {
	run := job.run
	if !driver.Backend.Features().Isolation { // no /s3/… of its own
		run.Options.Imports = filepath.Join(g.Home, "runs", run.ID, "imports")
	}
	if err := checkSizes(job, q); err != nil {
		return nil, err
	}
	if err := dag.CheckGiven(run); err != nil {
		return nil, &usageError{msg: err.Error(), mend: hintText(err)}
	}
	noteMayNeed(run)
	if !driver.Backend.Features().Isolation { // the path of containers can't be had
		run.Options.Workspace = filepath.Join(g.Home, "runs", run.ID, "workspace")
	}
	if err := checkBackend(job, driver.Backend, g.Home); err != nil {
		return nil, err
	}
	if err := g.snapshot(ctx, run); err != nil {
		return nil, err
	}
	for _, n := range run.Pipeline.Notes {
		g.note("note: " + strings.ReplaceAll(strings.TrimSpace(n), "\n", "\n      "))
	}
	if !driver.Backend.Features().Limits && hasLimits(run.Pipeline) {
		g.note("note: the " + run.Options.Backend + " backend can't enforce CPU and memory limits; they only count for the queue")
	}
	g.nameInterrupted(ctx)
	if err := reclaim(ctx, driver.Backend, q); err != nil {
		return nil, err
	}
	lock, err := g.lockRun(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	if err := driver.Store.CreateRun(ctx, run); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// job is a run that was prepared and not yet stored.
type job struct {
	*loaded
	run     *dag.Run
	project *project
}

// prepareRun reads and checks everything that a run is made of.
func (g *globals) prepareRun(ctx context.Context, f runFlags) (*job, error) {
	if f.file == "" && f.loaded == nil {
		return nil, &usageError{msg: "the name of the file is empty", mend: "wherry run FILE"}
	}
	if err := errors.Join(f.cache.check(), checkRunName(f.name)); err != nil {
		return nil, err
	}
	if !slices.Contains(backendNames, f.backend) {
		return nil, &usageError{msg: fmt.Sprintf("unknown backend %q", f.backend), mend: "--backend docker or --backend process"}
	}
	proj, err := findProject(filepath.Dir(f.file))
	if err != nil {
		return nil, err
	}
	options, mounted, err := runOptions(f, proj)
	if err != nil {
		return nil, err
	}
	l := f.loaded
	if l == nil {
		if l, err = g.loadAny(ctx, f, mounted); err != nil {
			return nil, err
		}
	}
	options.Images = aliases(l.pipeline, proj)
	if err := steer(l.pipeline, &options, f.cache.tasks, f.from); err != nil {
		return nil, err
	}
	parameters, err := bindParameters(l.pipeline, f, proj)
	if err != nil {
		return nil, err
	}
	id := newID()
	run := &dag.Run{
		ID: id, Name: f.name, Pipeline: l.pipeline, Options: options, Parameters: parameters,
		State: dag.Pending, Created: time.Now(),
	}
	if run.Name == "" {
		run.Name = l.pipeline.Name + "-" + id[:5]
	}
	return &job{loaded: l, run: run, project: proj}, nil
}

// checkRunName refuses a name by which no command could find its run again.
func checkRunName(name string) error {
	bad := ""
	switch {
	case strings.Contains(name, "/"):
		bad = "has a slash in it, and RUN/TASK names a task"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(name) != name:
		bad = "has characters that nobody sees"
	case name == "last":
		bad = "means the newest run"
	default:
		return nil
	}
	return &usageError{msg: fmt.Sprintf("--name %q %s", name, bad), mend: "--name nightly-2"}
}

// runOptions merges wherry.yaml and flags; flags win.
func runOptions(f runFlags, proj *project) (dag.RunOptions, []string, error) {
	o := dag.RunOptions{Backend: f.backend, MaxParallel: f.maxParallel, Platform: f.platform, Trust: proj.Trust, NoLayers: f.noLayers, Cache: f.cache.mode(), Watch: f.watchKey}
	switch f.network {
	case "on":
	case "none":
		o.Network = runner.NetworkNone
	default:
		return o, nil, &usageError{msg: fmt.Sprintf("unknown network mode %q", f.network), mend: "--network on or --network none"}
	}
	if f.maxParallel < 0 {
		return o, nil, &usageError{msg: "--max-parallel must be 0 or more"}
	}
	mounts := slices.Clone(proj.Mounts)
	base, err := filepath.Abs(f.base)
	if err != nil {
		return o, nil, err
	}
	for _, text := range f.mounts {
		m, err := parseMount(base, text)
		if err != nil {
			return o, nil, fmt.Errorf("-v %w", err)
		}
		mounts = slices.DeleteFunc(mounts, func(other mount) bool { return other.Target == m.Target })
		mounts = append(mounts, m)
	}
	var mounted []string
	for _, m := range mounts {
		o.Mounts = append(o.Mounts, dag.Mount{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, Live: m.Live})
		mounted = append(mounted, m.Target)
	}
	for _, name := range sortedNames(proj.Env) {
		o.Env = append(o.Env, runner.EnvVar{Name: name, Value: proj.Env[name]})
	}
	if o.Secrets, err = mergeGiven("--secret", proj.Secrets, f.secrets); err != nil {
		return o, nil, err
	}
	o.ConfigMaps, err = mergeGiven("--config-map", proj.ConfigMaps, f.configMaps)
	return o, mounted, err
}

// aliases returns what the pipeline's image names mean on this machine.
func aliases(p *dag.Pipeline, proj *project) map[string]dag.Alias {
	out := map[string]dag.Alias{}
	for _, c := range p.Components {
		if c.Pod == nil {
			continue
		}
		for _, container := range c.Pod.Containers {
			if len(container.Image) != 1 || container.Image[0].Ref != nil {
				continue
			}
			name := container.Image[0].Text
			real, build := proj.image(name)
			switch {
			case build != nil:
				spec := &runner.BuildSpec{Name: "wherry/" + real, Base: build.Base, Context: build.Context, Dockerfile: build.Dockerfile}
				if len(build.Requirements.List) > 0 {
					spec.Layer = &runner.Layer{Installs: [][]string{build.Requirements.List}}
				}
				out[name] = dag.Alias{Image: real, Build: spec}
			case real != name:
				out[name] = dag.Alias{Image: real}
			}
		}
	}
	return out
}

// bindParameters merges parameters: flags, or those of a watch, over --params over
// wherry.yaml.
func bindParameters(p *dag.Pipeline, f runFlags, proj *project) (map[string]any, error) {
	values := map[string]any{}
	for k, v := range proj.Params {
		inputs := p.Components[p.Root].Inputs
		if inputs.Parameters[k] != nil || inputs.Artifacts[k] != nil { // it may serve several pipelines
			values[k] = v
		}
	}
	if f.paramsFile != "" {
		file, err := source.Read(f.paramsFile)
		if err != nil {
			return nil, err
		}
		docs, err := file.Documents()
		if err != nil {
			return nil, err
		}
		given := map[string]any{}
		if err := file.Decode(docs[0], &given); err != nil {
			return nil, err
		}
		for k, v := range given {
			values[k] = v
		}
	}
	maps.Copy(values, f.values)
	text := map[string]string{}
	for _, p := range f.params {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, &usageError{msg: fmt.Sprintf("-p %q is not NAME=VALUE", p), mend: "-p learning_rate=0.1"}
		}
		text[name] = value
		delete(values, name)
	}
	if err := giveArtifacts(p, f.base, text, values); err != nil {
		return nil, err
	}
	return p.Bind(text, values)
}

// giveArtifacts binds the pipeline's input artifacts. Relative paths are seen from
// base; empty: from the current folder, as everything on the command line.
func giveArtifacts(p *dag.Pipeline, base string, text map[string]string, values map[string]any) error {
	given := map[string]string{}
	for name := range p.Components[p.Root].Inputs.Artifacts {
		uri, ok := text[name]
		if v, isText := values[name].(string); !ok && isText {
			uri, ok = v, true
		}
		delete(text, name)
		delete(values, name)
		if !ok {
			continue
		}
		if uri != "" && !strings.Contains(uri, "://") {
			path, err := filepath.Abs(relativeTo(base, uri))
			if err != nil {
				return err
			}
			uri = path
		}
		given[name] = uri
	}
	return p.GiveArtifacts(given)
}

// checkSizes refuses, before anything starts, what can never fit this machine.
func checkSizes(j *job, q *queue.Queue) error {
	for _, name := range sortedNames(j.pipeline.Components) {
		c := j.pipeline.Components[name]
		res, ok := c.StaticResources()
		if !ok {
			continue
		}
		if err := q.Fits(res); err != nil {
			e := j.file.Errorf(c.Pos, "%q %v", name, err)
			e.Mend = hintText(err)
			return e
		}
	}
	return nil
}

func hintText(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}

func hasLimits(p *dag.Pipeline) bool {
	for _, c := range p.Components {
		if res, ok := c.StaticResources(); ok && (res.CPULimit > 0 || res.MemoryLimit > 0) {
			return true
		}
	}
	return false
}

// checkBackend refuses, before anything starts, what the backend can't honour.
func checkBackend(j *job, b runner.Backend, home string) error {
	checker, ok := b.(runner.Checker)
	if !ok {
		return nil
	}
	for _, name := range sortedNames(j.pipeline.Components) {
		c := j.pipeline.Components[name]
		pod, ok := c.StaticPod(j.run, home)
		if !ok {
			continue
		}
		if err := checker.Check(pod); err != nil {
			e := j.file.Errorf(c.Pos, "%q: %v", name, err)
			return e.WithMend("run it with --backend docker")
		}
	}
	return nil
}

// snapshot takes the mounted sources into the artifact store, so that a save in
// mid-run can't mix versions. Of a live one it takes the list of what is there.
func (g *globals) snapshot(ctx context.Context, run *dag.Run) error {
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	for i := range run.Options.Mounts {
		m := &run.Options.Mounts[i]
		if !m.ReadOnly {
			continue
		}
		take := store.Snapshot
		if m.Live {
			take = store.Live
		}
		if m.Digest, _, err = take(ctx, m.Source, snapshotOptions(run.Options.Mounts, i, g.note)); err != nil {
			return err
		}
	}
	return nil
}

// reclaim takes back what runs that lost their driver still hold of the queue and
// no pod uses. The backend is asked only where there is such a run.
func reclaim(ctx context.Context, b runner.Backend, q *queue.Queue) error {
	var running map[string]bool
	_, err := q.Reclaim(ctx, func(pod string) bool {
		if running == nil {
			running = map[string]bool{}
			for s, err := range b.Watch(ctx) {
				if err != nil {
					return true // not known: it may run
				}
				if s.Synced {
					break
				}
				running[s.Pod] = s.Phase == runner.PhaseCreated || s.Phase == runner.PhaseRunning
			}
		}
		return running[pod]
	})
	return err
}

// nameInterrupted tells of runs that have lost their driver.
func (g *globals) nameInterrupted(ctx context.Context) {
	if g.parent != nil || g.isUp() {
		return // wherry up goes on with them
	}
	db, err := g.database(ctx)
	if err != nil {
		return
	}
	runs, err := db.Interrupted(ctx)
	if err != nil {
		return
	}
	for _, r := range runs {
		if !g.driven(r.ID) {
			g.note(fmt.Sprintf("note: run %s (%s) was interrupted; wherry resume %s goes on with it", r.ID, r.Name, r.ID))
		}
	}
}

// detach hands the run over to a driver of its own session.
func (g *globals) detach(id string, lock *runLock) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(g.Home, "runs", id, "driver.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	_ = lock.Close() // the driver takes it
	cmd := exec.Command(self, "resume", id)
	cmd.Env = append(os.Environ(), "WHERRY_HOME="+g.Home)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the driver of run %s: %w", id, err)
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	for range 100 { // until it drives, so that who asks next sees it
		if g.driven(id) {
			break
		}
		select {
		case <-died:
			return g.diedEarly(id, log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if g.Output == "json" || g.Output == "yaml" {
		return g.printDocument(map[string]any{"run": map[string]any{"id": id}})
	}
	fmt.Fprintln(g.Out, id)
	g.note(fmt.Sprintf("wherry logs -f %s follows it, wherry cancel %s ends it", id, id))
	return nil
}

// diedEarly says why a driver ended before it was seen to drive; a run that has
// ended so quickly is no error.
func (g *globals) diedEarly(id, log string) error {
	db, err := g.database(context.Background())
	if err != nil {
		return err
	}
	run, _, err := db.LoadRun(context.Background(), id)
	if err != nil {
		return err
	}
	if run.State.Ended() || g.driven(id) { // by another one, that was faster
		fmt.Fprintln(g.Out, id)
		return nil
	}
	text, _ := os.ReadFile(log)
	return &interruptedError{run: id, err: fmt.Errorf("its driver ended: %s", strings.TrimSpace(string(text)))}
}
