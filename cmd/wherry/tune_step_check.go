package main

import (
	"context"
	"path/filepath"

	"github.com/wherry-ml/wherry/dag"
)

// checkSearches refuses, before anything starts, what is wrong with the pipeline's
// tuning steps, as far as the file alone says what they search. What has to be
// compiled first is looked at when its step begins.
func (g *globals) checkSearches(ctx context.Context, j *job) error {
	for _, name := range sortedNames(j.pipeline.Components) {
		c := j.pipeline.Components[name]
		if c.Tune == nil {
			continue
		}
		args, ok := c.Tune.Literal()
		if !ok {
			continue
		}
		x := dag.Search{Run: j.run, Task: name, Launcher: dag.Launcher(c.Tune.Image), Args: args, Outputs: sortedNames(c.Outputs.Parameters)}
		asked, err := readSearch(x)
		if err == nil && filepath.Ext(asked.flags.run.file) != ".py" {
			_, _, err = stepTuner{g}.read(ctx, x, asked)
		}
		if err != nil {
			e := j.file.Errorf(c.Pos, "tuning step %q: %v", name, err)
			e.Mend = hintText(err)
			return e
		}
	}
	return nil
}
