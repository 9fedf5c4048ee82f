package dag

import (
	"path"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// collectElsewhere brings the artifacts that the component wrote to a place of its
// own choice in its container: custom_path, or another URI below the task's own
// folder (dsl.get_uri). Only its executor output, one of the outputs itself, says
// where that is: so the ended pod is collected once more, for these alone. What is not there is no error, as with every artifact.
func (d *drive) collectElsewhere(pod runner.Pod, c *collector) error {
	pod.Outputs = c.elsewhere(pod.Outputs)
	if len(pod.Outputs) == 0 {
		return nil
	}
	_, err := d.Backend.Collect(d.ops, pod, outputsOnly{c})
	return err
}

// elsewhere returns the declared artifacts among outputs that lie at another place
// than their own, with it.
func (c *collector) elsewhere(outputs []runner.Output) []runner.Output {
	if c.executor == nil {
		return nil
	}
	var found []runner.Output
	for _, o := range outputs {
		name, ok := strings.CutPrefix(o.Name, outArtifact)
		if !ok {
			continue
		}
		if at := orElse(c.executor.elsewhere[name], c.executor.moved(name, o.Path)); at != "" {
			found = append(found, runner.Output{Name: o.Name, Path: at})
		}
	}
	slices.SortFunc(found, func(a, b runner.Output) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// moved returns where an artifact lies that the component gave a URI of its own
// below the task's folder, that of own; "" where it did not. KFP's launcher goes by
// that URI too.
func (res *executorResult) moved(name, own string) string {
	for _, said := range res.artifacts[name] {
		at := path.Clean(said.URI)
		if at != path.Clean(own) && strings.HasPrefix(at, path.Dir(path.Clean(own))+"/") {
			return at
		}
	}
	return ""
}

// outputsOnly is a sink for a second collection: the log has been kept.
type outputsOnly struct{ *collector }

func (outputsOnly) Line(runner.Line) error { return nil }
