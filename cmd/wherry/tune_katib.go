package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/katib"
)

// katibFile is a file with an Experiment or a Suggestion.
type katibFile struct {
	file *source.File
	docs []*yaml.Node
}

// sniffKatib reads the file where it holds an experiment; nil where it is anything else.
func sniffKatib(path string) (*katibFile, error) {
	if ext := filepath.Ext(path); ext == ".py" {
		return nil, nil
	}
	f, err := source.ReadPackage(path)
	if err != nil {
		return nil, err
	}
	docs, err := f.Documents()
	if err != nil || !slices.ContainsFunc(docs, katib.Sniff) {
		return nil, err
	}
	return &katibFile{f, docs}, nil
}

// prepareKatib prepares the experiment of a file; flags win over what it says.
func (g *globals) prepareKatib(ctx context.Context, k *katibFile, f tuneFlags, changed func(string) bool) (*tuner.Experiment, *job, error) {
	for _, name := range []string{"space", "minimize", "maximize"} {
		if changed(name) {
			return nil, nil, &usageError{msg: fmt.Sprintf("--%s is for a pipeline; %s says what is searched itself", name, f.run.file), mend: "leave it out"}
		}
	}
	i := slices.IndexFunc(k.docs, katib.Sniff)
	if i+1 < len(k.docs) && slices.ContainsFunc(k.docs[i+1:], katib.Sniff) {
		return nil, nil, k.file.Errorf(source.PosOf(k.docs[i+1]), "a second experiment in the file; run one file for each")
	}
	e, template, err := katib.Read(k.file, k.docs[i])
	if err != nil {
		return nil, nil, err
	}
	e.ID, e.Created = newID(), time.Now()
	f.override(e, changed)
	proj, err := findProject(filepath.Dir(f.run.file))
	if err != nil {
		return nil, nil, err
	}
	options, mounted, err := runOptions(f.run, proj)
	if err != nil {
		return nil, nil, err
	}
	j := &job{loaded: &loaded{file: k.file}, project: proj}
	if err := g.trialTemplate(ctx, e, j, k, template, f, mounted); err != nil {
		return nil, nil, err
	}
	j.pipeline = e.Trial.Pipeline
	if j.pipeline.File == "" {
		if j.pipeline.File, err = filepath.Abs(f.run.file); err != nil {
			return nil, nil, err
		}
	}
	options.Images = aliases(j.pipeline, proj)
	e.Trial.Options = options
	sample := &tuner.Trial{Name: e.Name + "-1"}
	for i := range e.Parameters {
		p := &e.Parameters[i]
		sample.Proposal.Point = append(sample.Proposal.Point, p.Round(p.Min))
	}
	if j.run, err = newTrialRun(e, sample); err != nil {
		return nil, nil, err
	}
	return e, j, checkExperiment(e)
}

// override takes what flags say in place of the file.
func (f *tuneFlags) override(e *tuner.Experiment, changed func(string) bool) {
	if changed("name") {
		e.Name = f.run.name
	}
	if changed("max-trials") {
		e.MaxTrials = f.maxTrials
	}
	if changed("parallel") {
		e.Parallel = f.parallel
	}
	if changed("max-failed") {
		e.MaxFailed = &f.maxFailed
	}
	if changed("seed") {
		e.Seed = f.seed
	}
	if changed("goal") {
		e.Objectives[0].Goal = &f.goal
	}
	if changed("algorithm") {
		e.Algorithm = tuner.Algorithm{Name: f.algorithm}
	}
	if changed("early-stopping") {
		e.Stopping = &tuner.Algorithm{Name: f.stopping}
	}
	e.Additional = append(e.Additional, f.metrics...)
	e.Constraints = append(e.Constraints, f.constraints...)
}

// trialTemplate finds what a trial runs: --trial, the file's own template, or that of
// wherry.yaml under the experiment's name.
func (g *globals) trialTemplate(ctx context.Context, e *tuner.Experiment, j *job, k *katibFile, own *yaml.Node, f tuneFlags, mounted []string) error {
	files := katib.Files{ConfigMap: katib.ConfigMaps(k.file)}
	named, here := j.project.Trials[e.Name]
	switch {
	case f.trial != "":
		other, err := source.ReadPackage(f.trial)
		if err != nil {
			return err
		}
		docs, err := other.Documents()
		if err != nil {
			return err
		}
		if scalarIs(docs[0], "kind", "ConfigMap") && own != nil {
			files.ConfigMap = katib.ConfigMaps(other, k.file)
			return katib.Template(e, k.file, own, files)
		}
		if t := katib.Short(e, docs[0]); t != nil && !scalarIs(docs[0], "kind", "Pipeline") {
			j.file = other
			return katib.Template(e, other, t, files)
		}
		return g.pipelineTrial(ctx, e, j, f, f.trial, mounted)
	case own != nil:
		return katib.Template(e, k.file, own, files)
	case here:
		project, err := source.Read(j.project.File)
		if err != nil {
			return err
		}
		if p := scalarField(&named, "pipeline"); p != nil {
			path := p.Value
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(j.project.File), path)
			}
			return g.pipelineTrial(ctx, e, j, f, path, mounted)
		}
		t := katib.Short(e, &named)
		if t == nil {
			return project.Errorf(source.PosOf(&named), "trials: %s: a trial is a container (image, command), a pipeline, a Job or a trialTemplate", e.Name)
		}
		j.file = project
		return katib.Template(e, project, t, files)
	}
	return k.file.Errorf(source.PosOf(k.docs[0]), "nothing says what a trial of %q runs", e.Name).
		WithMend("--trial FILE (a pipeline, or a Job with ${trialParameters.…}), or in wherry.yaml: trials: {%s: {image: …, command: […]}}", e.Name)
}

func scalarIs(n *yaml.Node, name, value string) bool {
	x := scalarField(n, name)
	return x != nil && x.Value == value
}

// pipelineTrial has trials run a pipeline, whose parameters have the names of the
// experiment's.
func (g *globals) pipelineTrial(ctx context.Context, e *tuner.Experiment, j *job, f tuneFlags, path string, mounted []string) error {
	switch e.Collector.Kind {
	case tuner.File, tuner.TensorFlowEvent, tuner.Prometheus:
		return &usageError{msg: fmt.Sprintf("the collector %s reads from the container of a job, and a trial is the pipeline %s", e.Collector.Kind, path),
			mend: "leave metricsCollectorSpec out: what steps print, output parameters and Metrics artifacts are read"}
	}
	run := f.run
	run.file = path
	l, err := g.loadAny(ctx, run, mounted)
	if err != nil {
		return err
	}
	for i := range e.Parameters {
		p := &e.Parameters[i]
		run.params = append(run.params, p.Name+"="+p.Format(p.Round(p.Min)))
	}
	values, err := bindParameters(l.pipeline, run, j.project)
	if err != nil {
		return err
	}
	j.loaded = l
	e.Trial = tuner.Template{Pipeline: l.pipeline, Fixed: values}
	for _, p := range e.Parameters {
		delete(values, p.Name)
		e.Trial.Parameters = append(e.Trial.Parameters, tuner.Binding{Input: p.Name, Parameter: p.Name})
	}
	if e.Collector.Kind == tuner.StdOut {
		e.Collector.Kind = tuner.Outputs
	}
	return nil
}
