package kfp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// executor translates what the component's executorLabel names.
func (t *translator) executor(c *dag.Component, spec *componentSpec) error {
	label := *spec.ExecutorLabel
	about := fmt.Sprintf("component %q", c.Name)
	e := t.spec.DeploymentSpec.Executors.get(label.Value)
	if e == nil {
		return t.unknown(label, "executor", about, t.spec.DeploymentSpec.Executors.names())
	}
	x := &e.Value
	if n := count(x.Container != nil, x.Importer != nil, x.Resolver != nil, x.CustomJob != nil); n != 1 {
		return t.errorf(x.Pos, "executor %q needs exactly one of container and importer", label.Value)
	}
	switch {
	case x.Importer != nil:
		return t.importer(c, x.Importer)
	case x.Resolver != nil:
		t.refuse(resolver, about, x.Pos)
		c.Pod = &dag.Pod{}
		return nil
	case x.CustomJob != nil:
		t.refuse(customJob, about, x.Pos)
		c.Pod = &dag.Pod{}
		return nil
	}
	if isClaim(x.Container.Image.Value) {
		return t.claim(c, x.Container)
	}
	ct := &containerTranslator{translator: t, about: fmt.Sprintf("executor %q", label.Value), component: spec}
	for name := range t.implicit(spec) { // the compiler doesn't declare them
		put(&c.Inputs.Parameters, name, &dag.Parameter{Optional: true, Pos: e.Pos})
	}
	container, err := ct.container(x.Container)
	if err != nil {
		return err
	}
	container.Pos = e.Pos
	c.Pod = &dag.Pod{Executor: true, Containers: []dag.Container{container}}
	if err := t.applyPlatform(label.Value, c.Pod); err != nil {
		return err
	}
	if c.MakeTune(); c.Tune != nil {
		return nil
	}
	return t.taskConfig(c, spec, x.Container)
}

// containerTranslator carries the translation of one container.
type containerTranslator struct {
	*translator
	about     string // "executor \"exec-train\""
	component *componentSpec
}

func (t *containerTranslator) container(spec *containerSpec) (dag.Container, error) {
	var c dag.Container
	var err error
	if spec.Image.Value == "" {
		return c, t.errorf(spec.Pos, "%s has no image", t.about)
	}
	if c.Image, err = t.text(spec.Image); err != nil {
		return c, err
	}
	if c.Command, err = t.args(spec.Command); err != nil {
		return c, err
	}
	if c.Args, err = t.args(spec.Args); err != nil {
		return c, err
	}
	for _, e := range spec.Env {
		if !goodVariable(e.Name.Value) {
			return c, t.errorf(e.Name.Pos, "%s: %q is not a name for an environment variable", t.about, e.Name.Value)
		}
		v, err := t.text(e.Value)
		if err != nil {
			return c, err
		}
		c.Env = append(c.Env, dag.EnvVar{Name: e.Name.Value, Value: v})
	}
	if spec.Lifecycle != nil {
		t.unused["lifecycle.preCacheCheck"] = true // the backend doesn't run it either
	}
	c.Python = findPython(spec.Command)
	if p, ok := findPreamble(spec.Command); ok {
		c.Layer = &dag.Layer{Installs: p.installs, Venv: p.venv, Words: 3}
	}
	c.Resources, err = t.resources(&spec.Resources)
	return c, err
}

// goodVariable reports whether an environment can hold a variable of this name.
func goodVariable(name string) bool { return name != "" && !strings.ContainsAny(name, "=\x00") }

func (t *containerTranslator) args(list []text) ([]dag.Arg, error) {
	var out []dag.Arg
	for _, item := range list {
		a, err := parseArg(item.Value, t.known)
		if err != nil {
			return nil, t.placeholderError(item.Pos, err)
		}
		t.seeWorkspace(item)
		out = append(out, a)
	}
	return out, nil
}

func (t *containerTranslator) text(s text) (dag.Text, error) {
	out, err := parseText(s.Value, t.known)
	if err != nil {
		return nil, t.placeholderError(s.Pos, err)
	}
	t.seeWorkspace(s)
	return out, nil
}

func (t *containerTranslator) seeWorkspace(s text) {
	if strings.Contains(s.Value, "{{$.workspace_path}}") {
		t.out.Workspace = true
	}
}

func (t *containerTranslator) placeholderError(pos source.Pos, err error) error {
	e := t.errorf(pos, "%s: %s", t.about, err)
	if unknown, ok := errors.AsType[*placeholderError](err); ok {
		if near := unknown.nearest(t.component); near != "" {
			return e.WithMend("did you mean %q?", near)
		}
	}
	return e
}

// known reports whether the component has what a placeholder names.
func (t *containerTranslator) known(ref dag.Ref) bool {
	has, is := namesFor(ref.Kind, t.component)
	return !is || has(ref.Name) || ref.Kind == dag.RefInputValue && t.implicit(t.component)[ref.Name]
}

// namesFor returns the names that a placeholder of this kind may hold; false
// where it holds none.
func namesFor(kind dag.RefKind, c *componentSpec) (has func(string) bool, named bool) {
	in, out := &c.InputDefinitions, &c.OutputDefinitions
	switch kind {
	case dag.RefInputValue:
		return func(n string) bool { return in.Parameters.get(n) != nil }, true
	case dag.RefOutputValue:
		return func(n string) bool { return out.Parameters.get(n) != nil }, true
	case dag.RefInputArtifact, dag.RefInputURI, dag.RefInputPath, dag.RefInputMetadata:
		return func(n string) bool { return in.Artifacts.get(n) != nil }, true
	case dag.RefOutputArtifact, dag.RefOutputURI, dag.RefOutputPath, dag.RefOutputMetadata:
		return func(n string) bool { return out.Artifacts.get(n) != nil }, true
	}
	return nil, false
}

func (t *containerTranslator) resources(spec *resourceSpec) (dag.Resources, error) {
	var r dag.Resources
	a := spec.Accelerator
	if a == nil {
		a = &acceleratorConfig{}
	}
	oldCount := ""
	if a.Count != 0 {
		oldCount = strconv.FormatInt(a.Count, 10)
	}
	accelerator := a.ResourceType
	if accelerator.Value == "" {
		accelerator = a.Type
	}
	for _, f := range []struct {
		to    *dag.Text
		text  text
		older string
	}{
		{&r.CPULimit, spec.ResourceCPULimit, cores(spec.CPULimit)},
		{&r.CPURequest, spec.ResourceCPURequest, cores(spec.CPURequest)},
		{&r.MemoryLimit, spec.ResourceMemoryLimit, gigabytes(spec.MemoryLimit)},
		{&r.MemoryRequest, spec.ResourceMemoryRequest, gigabytes(spec.MemoryRequest)},
		{&r.AcceleratorType, accelerator, ""},
		{&r.AcceleratorCount, a.ResourceCount, oldCount},
	} {
		if f.text.Value == "" {
			*f.to = dag.Literal(f.older)
			continue
		}
		var err error
		if *f.to, err = t.text(f.text); err != nil {
			return r, err
		}
	}
	return r, nil
}

// cores writes the older form of a CPU figure as a quantity; 0 is none.
func cores(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// gigabytes writes the older form of a memory figure, in 10⁹ bytes, as a
// quantity; 0 is none.
func gigabytes(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(math.Round(n*1e9), 'f', -1, 64)
}

func (t *translator) importer(c *dag.Component, spec *importerSpec) error {
	about := fmt.Sprintf("component %q", c.Name)
	meta, err := t.metadata(spec.Metadata, about, &spec.Properties, &spec.CustomProperties)
	if err != nil {
		return err
	}
	c.Importer = &dag.Importer{Type: artifactType(&spec.TypeSchema), Reimport: spec.Reimport}
	if len(meta) > 0 {
		if c.Importer.Metadata, err = t.own(c, meta, spec.At["metadata"]); err != nil {
			return err
		}
	}
	if spec.DownloadToWorkspace {
		c.Importer.Workspace, t.out.Workspace = true, true
	}
	uri := spec.ArtifactURI
	switch {
	case uri == nil:
		return t.errorf(spec.Pos, "%s: its importer has no artifactUri", about)
	case uri.RuntimeParameter != nil:
		if c.Inputs.Parameters[uri.RuntimeParameter.Value] == nil {
			return t.unknown(*uri.RuntimeParameter, "input parameter", about, keys(c.Inputs.Parameters))
		}
		c.Importer.URI = &dag.Source{Input: uri.RuntimeParameter.Value, Pos: uri.RuntimeParameter.Pos}
		return nil
	}
	v, pos := uri.Constant.Value, uri.Constant.Pos
	if uri.ConstantValue != nil {
		v, pos = uri.ConstantValue.get(), uri.ConstantValue.Pos
	}
	s, ok := v.(string)
	if !ok || s == "" {
		return t.errorf(uri.Pos, "%s: artifactUri needs a constant text or a runtimeParameter", about)
	}
	c.Importer.URI = &dag.Source{Constant: &dag.Constant{Value: s}, Pos: pos}
	if scheme, _, ok := strings.Cut(s, "://"); ok && scheme != "file" && !dag.Fetchable(s) {
		t.out.Notes = append(t.out.Notes, fmt.Sprintf("%s:%d: %s: %s", t.out.File, pos.Line, about, dag.RecordOnly(s)))
	}
	return nil
}
