package kfp

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"go.yaml.in/yaml/v3"
)

// Read translates a compiled pipeline. docs are the file's documents: the
// pipeline and, at most, what it asks of a platform. Errors are *source.Error.
// References inside the graph are dag.Validate's to check.
func Read(f *source.File, docs []*yaml.Node) (*dag.Pipeline, error) {
	t := &translator{file: f}
	if err := t.decode(docs); err != nil {
		return nil, err
	}
	if err := t.pipeline(); err != nil {
		return nil, err
	}
	return t.out, nil
}

// translator carries one Read.
type translator struct {
	file     *source.File
	spec     *pipelineSpec
	platform *platformSpec
	runtime  *runtimeConfig
	out      *dag.Pipeline
	unused   map[string]bool // what the file asks for and this machine has no use for
	extra    map[*componentSpec]map[string]bool
	copied   int // bytes of constants that placeholders stand for, as often as they do
}

func (t *translator) errorf(pos source.Pos, format string, args ...any) *source.Error {
	return t.file.Errorf(pos, format, args...)
}

// unknown is the error for a name that nothing has.
func (t *translator) unknown(name text, what, subject string, known []string) error {
	err := t.errorf(name.Pos, "%s: unknown %s %q", subject, what, name.Value)
	if near := source.Nearest(name.Value, slices.Clone(known)); near != "" {
		return err.WithMend("did you mean %q?", near)
	}
	return err
}

func (t *translator) decode(docs []*yaml.Node) error {
	for _, doc := range docs {
		if err := t.decodeDocument(doc); err != nil {
			return err
		}
	}
	if t.spec == nil {
		return t.errorf(source.Pos{}, "holds no pipeline (pipelineInfo, components, root)")
	}
	return nil
}

func (t *translator) decodeDocument(doc *yaml.Node) error {
	if err := t.checkExpansion(doc); err != nil {
		return err
	}
	switch keys := keysOf(doc); {
	case keys["platforms"]:
		if t.platform != nil {
			return t.errorf(source.PosOf(doc), "a second platform document")
		}
		t.platform = &platformSpec{}
		return t.file.Decode(doc, t.platform)
	case t.spec != nil:
		return t.errorf(source.PosOf(doc), "a second pipeline document").
			WithMend("one file holds one pipeline and its platform document")
	case keys["pipelineSpec"], keys["pipeline_spec"]:
		return t.decodeJob(doc)
	}
	t.spec = &pipelineSpec{}
	return t.file.Decode(doc, t.spec)
}

func (t *translator) decodeJob(doc *yaml.Node) error {
	var job pipelineJob
	if err := t.file.Decode(doc, &job); err != nil {
		return err
	}
	if t.spec = cmp.Or(job.PipelineSpec, job.PipelineSpec2); t.spec == nil {
		return t.errorf(source.PosOf(doc), "pipelineSpec is empty")
	}
	t.runtime = job.RuntimeConfig
	if platform := cmp.Or(job.PlatformSpec, job.PlatformSpec2); platform != nil {
		t.platform = platform
	}
	return nil
}

func keysOf(doc *yaml.Node) map[string]bool {
	keys := map[string]bool{}
	for i := 0; doc.Kind == yaml.MappingNode && i+1 < len(doc.Content); i += 2 {
		keys[doc.Content[i].Value] = true
	}
	return keys
}

func (t *translator) pipeline() error {
	if err := t.header(); err != nil {
		return err
	}
	if t.spec.Root == nil {
		return t.errorf(t.spec.Pos, "the pipeline has no root")
	}
	if err := t.checkPlatform(); err != nil {
		return err
	}
	t.findImplicit()
	t.out.Components = make(map[string]*dag.Component, len(t.spec.Components.Items)+1)
	for i := range t.spec.Components.Items {
		e := &t.spec.Components.Items[i]
		c, err := t.component(e.Name, &e.Value)
		if err != nil {
			return err
		}
		c.Pos = e.Pos
		t.out.Components[e.Name] = c
	}
	t.out.Root = "root"
	for t.out.Components[t.out.Root] != nil {
		t.out.Root += "-"
	}
	root, err := t.component(t.out.Root, t.spec.Root)
	if err != nil {
		return err
	}
	root.Pos = t.spec.At["root"]
	t.out.Components[t.out.Root] = root
	if err := t.linkPlatform(); err != nil {
		return err
	}
	if err := t.applyRuntime(root); err != nil {
		return err
	}
	t.finish()
	return nil
}

func (t *translator) header() error {
	info := t.spec.PipelineInfo
	if info == nil || info.Name.Value == "" {
		pos := t.spec.Pos
		if info != nil {
			pos = cmp.Or(info.Name.Pos, info.Pos)
		}
		return t.errorf(pos, "the pipeline has no name (pipelineInfo.name)")
	}
	t.out = &dag.Pipeline{Name: info.Name.Value, DisplayName: info.DisplayName, Description: info.Description,
		Format: dag.FormatIR, File: t.file.Name}
	t.unused = map[string]bool{}
	if v := t.spec.SchemaVersion; v.Value != "" && !strings.HasPrefix(v.Value, "2.") {
		return t.errorf(v.Pos, "schemaVersion %q: only 2.x is known", v.Value)
	}
	if root := t.spec.DefaultPipelineRoot; root != "" {
		t.unused["defaultPipelineRoot"] = true
	}
	return nil
}

// applyRuntime takes the values of a PipelineJob as the root's defaults.
func (t *translator) applyRuntime(root *dag.Component) error {
	if t.runtime == nil {
		return nil
	}
	values := t.runtime.ParameterValues.Items
	for _, e := range t.runtime.Parameters.Items {
		values = append(values, entry[value]{Name: e.Name, Pos: e.Pos, Value: value{Value: e.Value.get(), Pos: e.Value.Pos}})
	}
	for _, e := range values {
		p := root.Inputs.Parameters[e.Name]
		if p == nil {
			return t.unknown(text{e.Name, e.Pos}, "parameter", "runtimeConfig",
				slices.Collect(maps.Keys(root.Inputs.Parameters)))
		}
		v, err := convert(p.Type, e.Value.Value)
		if err != nil {
			return t.errorf(e.Value.Pos, "runtimeConfig: parameter %q %s", e.Name, err)
		}
		p.HasDefault, p.Default = true, v
	}
	return nil
}

// finish puts what was gathered in the order of the file.
func (t *translator) finish() {
	slices.SortStableFunc(t.out.Unsupported, func(a, b dag.Unsupported) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.What, b.What))
	})
	t.out.Unsupported = slices.Compact(t.out.Unsupported)
	if len(t.unused) > 0 {
		names := slices.Sorted(maps.Keys(t.unused))
		t.out.Notes = append(t.out.Notes, "not used here: "+strings.Join(names, ", "))
	}
}
