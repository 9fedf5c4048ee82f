package dag

import (
	"fmt"
	"path"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// collectElsewhere brings the artifacts that the component wrote to a place of its
// own choice in its container (custom_path, or a URI made by dsl.get_uri). Only its
// executor output, one of the outputs itself, says where that is: so the ended pod
// is collected once more, for these alone. What is not there is no error, as with
// every artifact.
func (d *drive) collectElsewhere(pod runner.Pod, c *collector) error {
	pod.Outputs = c.elsewhere(pod.Outputs)
	if len(pod.Outputs) == 0 {
		return nil
	}
	_, err := d.Backend.Collect(d.ops, pod, outputsOnly{c})
	return err
}

// elsewhere returns the declared artifacts among outputs that lie elsewhere, with
// the place. The further ones of a list are named as listed says.
func (c *collector) elsewhere(outputs []runner.Output) []runner.Output {
	if c.executor == nil {
		return nil
	}
	var found []runner.Output
	for _, o := range outputs {
		name, isArtifact := strings.CutPrefix(o.Name, outArtifact)
		if !isArtifact {
			continue
		}
		for i, said := range c.executor.artifacts[name] {
			at := said.URI
			if custom := c.executor.elsewhere[name]; custom != "" && i == 0 {
				at = custom
			}
			if path.IsAbs(at) && path.Clean(at) != o.Path {
				found = append(found, runner.Output{Name: outArtifact + listed(name, i), Path: path.Clean(at)})
			}
		}
	}
	return found
}

// listed names the artifacts of an output that is a list.
func listed(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s[%d]", name, i)
}

// handedOver returns the artifacts of an output once their content is stored. The
// component may have given them a URI: one on this machine counts where it lies in
// the attempt's own directory, for others' places are not ours to link.
func (c *collector) handedOver(r render, name string) []Artifact {
	said := []Artifact{{}}
	if c.executor != nil && len(c.executor.artifacts[name]) > 0 {
		said = c.executor.artifacts[name]
	}
	if o := r.node.comp.Outputs.Artifacts[name]; !o.List {
		said = said[:1]
	}
	var list []Artifact
	for i, s := range said {
		a := r.outputArtifact(name)
		a.Digest, a.Size = c.stored[listed(name, i)].Digest, c.stored[listed(name, i)].Size
		if s.URI != "" && s.Metadata != nil {
			a.Metadata = s.Metadata
		}
		uri := s.URI
		if path.IsAbs(uri) {
			uri = path.Clean(uri)
		}
		switch {
		case uri == "", path.IsAbs(uri) && !strings.HasPrefix(uri, r.dir+"/"):
			a.URI += strings.TrimPrefix(listed(name, i), name)
		case path.IsAbs(uri) || a.Digest == "":
			a.URI = uri
		}
		if a.Metadata == nil {
			a.Metadata = map[string]any{}
		}
		list = append(list, a)
	}
	return list
}

// outputsOnly is a sink for a second collection: the log has been kept.
type outputsOnly struct{ *collector }

func (outputsOnly) Line(runner.Line) error { return nil }
