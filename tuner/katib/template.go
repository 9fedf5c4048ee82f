package katib

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/podspec"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/tuner"
)

// Files are the trial templates that a file may name by a config map.
type Files struct {
	// ConfigMap returns a file of a config map as a document of its own; nil where
	// there is none.
	ConfigMap func(name, path string) (*source.File, error)
}

// taskName is the one task of a trial that is a Job.
const taskName = "trial"

// Template reads a trialTemplate into e.Trial: its Pipeline and Parameters. Every
// error is a *source.Error.
func Template(e *tuner.Experiment, f *source.File, n *yaml.Node, files Files) error {
	var tt trialTemplate
	if err := f.Decode(n, &tt); err != nil {
		return err
	}
	r := &templateReader{f: f, e: e, tt: &tt, inputs: map[string]bool{}, pod: &dag.Pod{}}
	spec := tt.TrialSpec
	switch {
	case spec != nil && tt.ConfigMap != nil:
		return f.Errorf(tt.ConfigMap.Name.Pos, "the trialTemplate has both a trialSpec and a configMap")
	case tt.ConfigMap != nil:
		other, err := r.configMap(files)
		if err != nil {
			return err
		}
		docs, err := other.Documents()
		if err != nil {
			return err
		}
		r.f, spec = other, docs[0]
	case spec == nil:
		return f.Errorf(tt.Pos, "the trialTemplate has no trialSpec and no configMap")
	}
	if err := r.trialParameters(f); err != nil {
		return err
	}
	if err := r.job(spec); err != nil {
		return err
	}
	return r.finish(f, spec)
}

type templateReader struct {
	f         *source.File
	e         *tuner.Experiment
	tt        *trialTemplate
	inputs    map[string]bool // trial parameters that the template uses
	pod       *dag.Pod
	container string // whose log counts; empty: all
	ignored   []string
	retry     *dag.Retry
}

func (r *templateReader) configMap(files Files) (*source.File, error) {
	c := r.tt.ConfigMap
	mend := "put the ConfigMap into the file as a document of its own, or name its file: --trial FILE"
	if files.ConfigMap == nil {
		return nil, r.f.Errorf(c.Name.Pos, "config map %q was not given", c.Name.S).WithMend("%s", mend)
	}
	other, err := files.ConfigMap(c.Name.S, c.Path.S)
	if err != nil {
		return nil, r.f.Errorf(c.Path.Pos, "%v", err).WithMend("%s", mend)
	}
	if other == nil {
		return nil, r.f.Errorf(c.Name.Pos, "config map %q was not given", c.Name.S).WithMend("%s", mend)
	}
	return other, nil
}

var metaRef = regexp.MustCompile(`^\$\{trialSpec\.(Name|Namespace|Kind|APIVersion|Annotations\[(.+)\]|Labels\[(.+)\])\}$`)

// trialParameters binds the template's parameters to the experiment's.
func (r *templateReader) trialParameters(f *source.File) error {
	seen := map[string]bool{}
	for _, p := range r.tt.TrialParameters {
		if p.Name.S == "" || p.Reference.S == "" {
			return f.Errorf(p.Pos, "a trial parameter needs a name and a reference")
		}
		if seen[p.Name.S] {
			return f.Errorf(p.Name.Pos, "two trial parameters are called %q", p.Name.S)
		}
		seen[p.Name.S] = true
		b := tuner.Binding{Input: p.Name.S}
		if m := metaRef.FindStringSubmatch(p.Reference.S); m != nil {
			b.Meta = m[1]
		} else if strings.HasPrefix(p.Reference.S, "${") {
			return f.Errorf(p.Reference.Pos, "reference %q: there are Name, Namespace, Kind, APIVersion, Annotations[…] and Labels[…] of trialSpec", p.Reference.S)
		} else if !slices.ContainsFunc(r.e.Parameters, func(q tuner.Parameter) bool { return q.Name == p.Reference.S }) {
			var known []string
			for _, q := range r.e.Parameters {
				known = append(known, q.Name)
			}
			x := f.Errorf(p.Reference.Pos, "trial parameter %q refers to %q, which is no parameter of the experiment", p.Name.S, p.Reference.S)
			if n := source.Nearest(p.Reference.S, known); n != "" {
				return x.WithMend("did you mean %q?", n)
			}
			return x.WithMend("known: %s", strings.Join(known, ", "))
		} else {
			b.Parameter = p.Reference.S
		}
		r.e.Trial.Parameters = append(r.e.Trial.Parameters, b)
	}
	return nil
}

var placeholder = regexp.MustCompile(`\$\{trialParameters\.([^}]+)\}`)

// text turns ${trialParameters.x} into references.
func (r *templateReader) text(s string, pos source.Pos) (dag.Text, error) {
	var out dag.Text
	last := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(s, -1) {
		name := s[m[2]:m[3]]
		if !slices.ContainsFunc(r.e.Trial.Parameters, func(b tuner.Binding) bool { return b.Input == name }) {
			var known []string
			for _, b := range r.e.Trial.Parameters {
				known = append(known, b.Input)
			}
			return nil, r.f.Errorf(pos, "${trialParameters.%s}: there is no such trial parameter", name).WithMend("known: %s", strings.Join(known, ", "))
		}
		if m[0] > last {
			out = append(out, dag.Part{Text: s[last:m[0]]})
		}
		out = append(out, dag.Part{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: name}})
		r.inputs[name] = true
		last = m[1]
	}
	if last < len(s) {
		out = append(out, dag.Part{Text: s[last:]})
	}
	return out, nil
}

// job reads what a trial runs, by its kind.
func (r *templateReader) job(n *yaml.Node) error {
	kind := field(n, "kind")
	switch kind {
	case "Job", "":
		if kind == "" && has(n, "containers") {
			return r.podOf(n)
		}
		return r.batchJob(n)
	case "Pod":
		spec := child(n, "spec")
		if spec == nil {
			return r.f.Errorf(source.PosOf(n), "the Pod has no spec")
		}
		return r.podOf(spec)
	case "PyTorchJob", "TFJob", "XGBoostJob":
		return r.gang(kind, n)
	}
	x := r.f.Errorf(source.PosOf(child(n, "kind")), "a trial of kind %s is not to be had here", kind)
	switch kind {
	case "MPIJob":
		return x.WithMend("mpirun starts its processes on other machines by ssh; a Job with one container can run mpirun on this one")
	case "Workflow", "PipelineRun":
		return x.WithMend("wherry tune takes a pipeline itself: wherry tune pipeline.yaml -s …")
	}
	return x.WithMend("known: Job, Pod, PyTorchJob, TFJob, XGBoostJob")
}

func child(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		var found *yaml.Node
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				found = n.Content[i+1]
			}
		}
		n = found
	}
	return n
}

func has(n *yaml.Node, name string) bool { return child(n, name) != nil }

func (r *templateReader) podOf(n *yaml.Node) error {
	res, err := podspec.Read(r.f, n, podspec.Options{Text: r.text})
	if err != nil {
		return err
	}
	r.pod, r.ignored = res.Pod, res.Ignored
	r.e.Trial.Grace = res.Grace
	return nil
}

// batchJob reads a batch/v1 Job. Without a backoffLimit of its own a trial is not tried
// again: Kubernetes would six times, and a trial that fails would fail seven.
func (r *templateReader) batchJob(n *yaml.Node) error {
	template := child(n, "spec", "template")
	if template == nil {
		return r.f.Errorf(source.PosOf(n), "the Job has no spec.template")
	}
	if err := r.podOf(template); err != nil {
		return err
	}
	if b := child(n, "spec", "backoffLimit"); b != nil {
		limit, err := strconv.Atoi(b.Value)
		if err != nil || limit < 0 {
			return r.f.Errorf(source.PosOf(b), "backoffLimit must be a whole number, not %q", b.Value)
		}
		if limit > 0 {
			r.retry = &dag.Retry{Limit: limit, Policy: dag.RetryAlways}
		}
	}
	return nil
}

// finish makes the pipeline of a pod.
func (r *templateReader) finish(f *source.File, spec *yaml.Node) error {
	if err := r.primary(f); err != nil {
		return err
	}
	e := r.e
	component := &dag.Component{Name: "comp-" + taskName, Pod: r.pod, Pos: source.PosOf(spec)}
	component.Inputs.Parameters = map[string]*dag.Parameter{}
	root := &dag.Component{Name: "root", Pos: source.PosOf(spec)}
	root.Inputs.Parameters = map[string]*dag.Parameter{}
	task := &dag.Task{Name: taskName, Component: component.Name, Parameters: map[string]*dag.Source{}, Retry: r.retry, Pos: source.PosOf(spec)}
	var bound []tuner.Binding
	for _, b := range e.Trial.Parameters {
		if !r.inputs[b.Input] {
			continue // as on a cluster, a parameter that the template does not use is none of its business
		}
		bound = append(bound, b)
		component.Inputs.Parameters[b.Input] = &dag.Parameter{}
		root.Inputs.Parameters[b.Input] = &dag.Parameter{}
		task.Parameters[b.Input] = &dag.Source{Input: b.Input}
		if err := r.meta(f, b, spec); err != nil {
			return err
		}
	}
	e.Trial.Parameters = bound
	r.outputs(component)
	root.Graph = &dag.Graph{Tasks: map[string]*dag.Task{taskName: task}}
	e.Trial.Pipeline = &dag.Pipeline{
		Name: e.Name, Format: dag.FormatPipeline, Root: "root", Components: map[string]*dag.Component{"root": root, component.Name: component},
	}
	if err := r.sidecar(f); err != nil {
		return err
	}
	e.Trial.Primary, e.Trial.Container, e.Trial.Retain = taskName, r.container, r.tt.Retain
	if len(r.ignored) > 0 {
		e.Notes = append(e.Notes, "not used here: "+strings.Join(r.ignored, ", "))
	}
	if err := r.checkpoint(component, root, task); err != nil {
		return err
	}
	return dag.Validate(e.Trial.Pipeline, r.f)
}

// MetricsOutput is the output artifact that holds a trial's metrics file.
const MetricsOutput = "metrics"

// outputs keeps the file or folder that metrics are read from, and opens the port of a
// page with metrics.
func (r *templateReader) outputs(component *dag.Component) {
	switch c := r.e.Collector; c.Kind {
	case tuner.Prometheus:
		r.pod.Ports = append(r.pod.Ports, c.Port)
	case tuner.File, tuner.TensorFlowEvent:
		component.Outputs.Artifacts = map[string]*dag.OutputArtifact{
			MetricsOutput: {Type: dag.ArtifactType{Title: "system.Artifact"}, Path: path.Clean(c.Path), Container: r.container},
		}
	}
}

// checkpoint makes the directory that a trial hands to those that go on from it: always
// in population based training, else where the template names one.
func (r *templateReader) checkpoint(component, root *dag.Component, task *dag.Task) error {
	dir := ""
	if r.e.Algorithm.Name == "pbt" {
		dir = "/opt/katib/data"
	}
	for _, s := range r.e.Algorithm.Settings {
		if s.Name == "suggestion_trial_dir" {
			dir = path.Clean(s.Value)
		}
	}
	if c := r.tt.Checkpoint; c.Set {
		if !path.IsAbs(c.S) {
			return r.f.Errorf(c.Pos, "checkpoint: the directory must be absolute, not %q", c.S)
		}
		dir = path.Clean(c.S)
	}
	if dir == "" {
		return nil
	}
	const name = "checkpoint"
	port := func() *dag.ArtifactPort {
		return &dag.ArtifactPort{Type: dag.ArtifactType{Title: "system.Artifact"}, Optional: true}
	}
	component.Inputs.Artifacts = map[string]*dag.ArtifactPort{name: port()}
	root.Inputs.Artifacts = map[string]*dag.ArtifactPort{name: port()}
	task.Artifacts = map[string]*dag.Source{name: {Input: name}}
	if component.Outputs.Artifacts == nil {
		component.Outputs.Artifacts = map[string]*dag.OutputArtifact{}
	}
	component.Outputs.Artifacts[name] = &dag.OutputArtifact{Type: dag.ArtifactType{Title: "system.Artifact"}, Path: dir}
	root.Outputs.Artifacts = map[string]*dag.OutputArtifact{name: {
		Type: dag.ArtifactType{Title: "system.Artifact"}, Select: []*dag.Source{{Task: taskName, Output: name}},
	}}
	r.pod.Directories = append(r.pod.Directories, dag.Directory{Name: name, Path: dir, From: []string{name}})
	r.e.Trial.Checkpoint = name
	return nil
}

// sidecar puts a Custom collector beside the trial's containers. With a path of a metrics
// file its folder is shared.
func (r *templateReader) sidecar(f *source.File) error {
	c := r.e.Collector.Sidecar
	if c == nil {
		return nil
	}
	for _, other := range r.pod.Containers {
		if other.Name == c.Name {
			return f.Errorf(c.Pos, "the custom collector has the name of a container of the trial, %q", c.Name)
		}
	}
	side := *c
	if p := r.e.Collector.Path; p != "" {
		const name = "katib-metrics"
		r.pod.Volumes = append(r.pod.Volumes, dag.Volume{Name: name, Kind: dag.VolumeEmpty})
		mount := dag.VolumeMount{Volume: name, Path: path.Dir(path.Clean(p))}
		for i := range r.pod.Containers {
			r.pod.Containers[i].Mounts = append(r.pod.Containers[i].Mounts, mount)
		}
		side.Mounts = append(slices.Clone(side.Mounts), mount)
	}
	r.pod.Containers = append(r.pod.Containers, side)
	r.container = side.Name
	return nil
}

// primary finds the container whose metrics count.
func (r *templateReader) primary(f *source.File) error {
	name := r.tt.PrimaryContainer
	if r.container != "" {
		return nil // of a gang
	}
	if !name.Set {
		return f.Errorf(r.tt.Pos, "the trialTemplate has no primaryContainerName: the container whose metrics count")
	}
	var known []string
	for _, c := range r.pod.Containers {
		if c.Role == runner.Main && c.Name == name.S {
			if len(r.pod.Containers) > 1 {
				r.container = name.S
			}
			return nil
		}
		known = append(known, c.Name)
	}
	return f.Errorf(name.Pos, "primaryContainerName %q: the pod has no such container", name.S).WithMend("known: %s", strings.Join(known, ", "))
}

// meta checks what a trial parameter says of the trial itself, and gives what is the
// same in all trials its value.
func (r *templateReader) meta(f *source.File, b tuner.Binding, spec *yaml.Node) error {
	if b.Meta == "" || b.Meta == "Name" {
		return nil
	}
	var value string
	switch {
	case b.Meta == "Namespace":
		value = "default"
	case b.Meta == "Kind":
		value = field(spec, "kind")
	case b.Meta == "APIVersion":
		value = field(spec, "apiVersion")
	default:
		group, key, _ := strings.Cut(strings.TrimSuffix(b.Meta, "]"), "[")
		n := child(spec, "metadata", strings.ToLower(group), key)
		if n == nil {
			return f.Errorf(r.tt.Pos, "trial parameter %q: the trialSpec has no %s", b.Input, b.Meta)
		}
		value = n.Value
	}
	if r.e.Trial.Fixed == nil {
		r.e.Trial.Fixed = map[string]any{}
	}
	r.e.Trial.Fixed[b.Input] = value
	return nil
}

// replicaName is the name of a replica's container.
func replicaName(kind string, i int) string { return fmt.Sprintf("%s-%d", strings.ToLower(kind), i) }
