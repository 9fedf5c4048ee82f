package main

import (
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/argo"
	"github.com/wherry-ml/wherry/dag/kfp"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/tuner/katib"
)

// loaded is a pipeline file that was read and found sound.
type loaded struct {
	file     *source.File
	pipeline *dag.Pipeline
}

// loadPipeline reads and validates a pipeline file of any kind but Python. mounted
// are the container paths that are mounted already.
func loadPipeline(path string, mounted []string) (*loaded, error) {
	f, err := source.ReadPackage(path)
	if err != nil {
		return nil, err
	}
	return load(f, path, mounted)
}

// load translates and validates what was read for path.
func load(f *source.File, path string, mounted []string) (*loaded, error) {
	docs, err := f.Documents()
	if err != nil {
		return nil, err
	}
	p, err := translate(f, docs, mounted)
	if err != nil {
		return nil, err
	}
	if err := dag.Validate(p, f); err != nil {
		return nil, err
	}
	if err := dag.Refuse(p, f); err != nil {
		return nil, err
	}
	if p.File, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	return &loaded{file: f, pipeline: p}, nil
}

func translate(f *source.File, docs []*yaml.Node, mounted []string) (*dag.Pipeline, error) {
	switch {
	case argo.Sniff(docs[0]):
		if len(docs) > 1 {
			return nil, f.Errorf(source.PosOf(docs[1]), "a second document after the pipeline; run one file for each")
		}
		return argo.Read(f, docs[0], argo.Options{Mounted: mounted})
	case kfp.Sniff(docs[0]):
		return kfp.Read(f, docs)
	}
	const known = "a Kubeflow pipeline (a .py, or compiled to IR YAML), or kind: Pipeline with a workflowSpec"
	if v := scalarField(docs[0], "apiVersion"); v != nil && strings.HasPrefix(v.Value, "tekton.dev/") {
		return nil, f.Errorf(source.PosOf(v), "Tekton pipelines come with a later version").WithMend("wherry run takes %s", known)
	}
	kind := scalarField(docs[0], "kind")
	if kind != nil && kind.Value == "Pipeline" {
		return nil, f.Errorf(source.PosOf(kind), "a kind: Pipeline needs apiVersion: kubeflow.org/…").WithMend("write apiVersion: kubeflow.org/v1")
	}
	if kind == nil {
		return nil, f.Errorf(source.PosOf(docs[0]), "is not a pipeline").WithMend("wherry run takes %s", known)
	}
	e := f.Errorf(source.PosOf(kind), "kind %q is not a pipeline", kind.Value)
	if katib.Sniff(docs[0]) {
		return nil, e.WithMend("wherry tune %s", f.Name)
	}
	return nil, e.WithMend("wherry run takes %s", known)
}

// scalarField returns the value of a field of a mapping, or nil.
func scalarField(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name && n.Content[i+1].Kind == yaml.ScalarNode {
			return n.Content[i+1]
		}
	}
	return nil
}
