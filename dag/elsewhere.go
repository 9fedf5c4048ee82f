package dag

import (
	"slices"

	"github.com/wherry-ml/wherry/runner"
)

// collectElsewhere brings the artifacts that the component wrote to a place of its
// own choice in its container (custom_path). Only its executor output, one of the
// outputs itself, says where that is: so the ended pod is collected once more, for
// these alone. What is not there is no error, as with every artifact.
func (d *drive) collectElsewhere(pod runner.Pod, c *collector) error {
	pod.Outputs = c.elsewhere(pod.Outputs)
	if len(pod.Outputs) == 0 {
		return nil
	}
	_, err := d.Backend.Collect(d.ops, pod, outputsOnly{c})
	return err
}

// elsewhere returns the declared artifacts among outputs that lie at a custom
// path, with it.
func (c *collector) elsewhere(outputs []runner.Output) []runner.Output {
	if c.executor == nil {
		return nil
	}
	var custom []runner.Output
	for _, name := range sortedKeys(c.executor.elsewhere) {
		declared := func(o runner.Output) bool { return o.Name == outArtifact+name }
		if slices.ContainsFunc(outputs, declared) {
			custom = append(custom, runner.Output{Name: outArtifact + name, Path: c.executor.elsewhere[name]})
		}
	}
	return custom
}

// outputsOnly is a sink for a second collection: the log has been kept.
type outputsOnly struct{ *collector }

func (outputsOnly) Line(runner.Line) error { return nil }
