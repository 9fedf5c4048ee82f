package argo

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// Options is what the reader knows beside the file.
type Options struct {
	// Mounted are the paths in the containers at which something is mounted
	// already. They are not made directories of the run.
	Mounted []string
	// Parameters are the values given for the run. They only help to infer
	// directories: a parameter may hold the path of one.
	Parameters map[string]any
}

// Sniff reports whether doc is for Read: a kubeflow.org Pipeline, or anything of
// argoproj.io, which Read refuses.
func Sniff(doc *yaml.Node) bool {
	version := field(doc, "apiVersion")
	return strings.HasPrefix(version, "kubeflow.org/") && field(doc, "kind") == "Pipeline" ||
		strings.HasPrefix(version, "argoproj.io/")
}

// Read translates the document. Every error is a *source.Error. Cycles among
// tasks are left to dag.Validate.
func Read(f *source.File, doc *yaml.Node, o Options) (*dag.Pipeline, error) {
	r := &reader{f: f, o: o, templates: map[string]*tmpl{}}
	if err := r.checkKind(doc); err != nil {
		return nil, err
	}
	var d document
	if err := f.Decode(doc, &d); err != nil {
		return nil, err
	}
	if err := r.open(&d, doc); err != nil {
		return nil, err
	}
	if err := r.link(); err != nil {
		return nil, err
	}
	if err := r.bindInputs(); err != nil {
		return nil, err
	}
	if err := r.bindOutputs(); err != nil {
		return nil, err
	}
	if err := r.findDirectories(); err != nil {
		return nil, err
	}
	if err := r.translate(); err != nil {
		return nil, err
	}
	if note := r.note(); note != "" {
		r.p.Notes = append(r.p.Notes, note)
	}
	return r.p, nil
}

// reader carries one Read.
type reader struct {
	f         *source.File
	o         Options
	w         *workflowSpec
	p         *dag.Pipeline
	templates map[string]*tmpl
	order     []*tmpl // those that the entrypoint reaches, callers before what they call
	root      *tmpl
	globals   map[string]*dag.Parameter // the workflow's parameters
	values    map[valueKey][]value      // see values.go
	depth     int
	ports     int   // artifacts that hand on directories
	acyclic   bool  // no tasks wait for each other in a circle
	lines     []int // where each line of the file starts
}

func (r *reader) errorf(pos source.Pos, format string, args ...any) *source.Error {
	return r.f.Errorf(pos, format, args...)
}

// near adds the known name that was probably meant, or all that there are.
func near(err *source.Error, name string, known []string) *source.Error {
	known = slices.Clone(known)
	if n := source.Nearest(name, known); n != "" {
		return err.WithMend("did you mean %q?", n)
	}
	slices.Sort(known)
	if len(known) > 0 && len(known) <= 12 {
		return err.WithMend("known: %s", strings.Join(known, ", "))
	}
	return err
}

func (r *reader) checkKind(doc *yaml.Node) error {
	if doc.Kind != yaml.MappingNode {
		return r.errorf(source.PosOf(doc), "must be a mapping with apiVersion, kind, metadata and spec")
	}
	version, kind := field(doc, "apiVersion"), field(doc, "kind")
	switch {
	case strings.HasPrefix(version, "argoproj.io/"):
		return r.errorf(posOfField(doc, "kind"), "kind %s of %s: Argo Workflows come with a later version", kind, version).
			WithMend("this version runs kind: Pipeline of kubeflow.org with the same body in spec.pipelineSpec.workflowSpec")
	case !strings.HasPrefix(version, "kubeflow.org/"):
		return r.errorf(posOfField(doc, "apiVersion"), "apiVersion %q: a Pipeline has kubeflow.org/v1", version)
	case kind != "Pipeline":
		return near(r.errorf(posOfField(doc, "kind"), "kind %q is not a pipeline", kind), kind, []string{"Pipeline"})
	}
	return nil
}

// posOfField returns the position of a field's value, or of the mapping.
func posOfField(n *yaml.Node, key string) source.Pos {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return source.PosOf(n.Content[i+1])
		}
	}
	return source.PosOf(n)
}

// open finds the workflow in the document and starts the pipeline.
func (r *reader) open(d *document, doc *yaml.Node) error {
	if d.Spec == nil {
		return r.errorf(source.PosOf(doc), "the Pipeline has no spec")
	}
	var info pipelineInfo
	if ps := d.Spec.PipelineSpec; ps != nil {
		r.w, info = ps.WorkflowSpec, ps.PipelineInfo
	}
	switch {
	case r.w != nil && d.Spec.WorkflowSpec != nil:
		return r.errorf(d.Spec.WorkflowSpec.Pos, "the workflow is given twice: here and in pipelineSpec.workflowSpec")
	case r.w == nil:
		r.w = d.Spec.WorkflowSpec
	}
	if r.w == nil {
		return r.errorf(d.Spec.Pos, "the Pipeline has no spec.pipelineSpec.workflowSpec")
	}
	if !r.w.Entrypoint.Set || r.w.Entrypoint.S == "" {
		return r.errorf(r.w.Pos, "workflowSpec has no entrypoint").WithMend("name the template that the run starts with")
	}
	r.p = &dag.Pipeline{
		Name:        first(d.Metadata.Name.S, strings.TrimRight(d.Metadata.GenerateName.S, "-"), info.Name.S, r.w.Entrypoint.S),
		Description: first(d.Spec.Description.S, info.Description.S),
		Format:      dag.FormatPipeline,
		File:        r.f.Name,
		Components:  map[string]*dag.Component{},
	}
	return nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
