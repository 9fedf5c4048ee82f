package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/wherry-ml/wherry/artifact"
)

// verify reads every artifact and names the damaged ones.
func (g *globals) verify(ctx context.Context) error {
	d := &diagnosis{g: g}
	store, err := g.artifacts()
	if err != nil {
		return err
	}
	digests, err := store.Digests()
	if err != nil {
		return err
	}
	sound := 0
	for _, digest := range digests {
		switch err := store.Verify(ctx, digest); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			sound++
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case is[*artifact.CorruptError](err):
			d.add("artifact", findingFail, "run the pipeline again: the task that made it will run; check the disk", "%v", err)
		default:
			d.add("artifact", findingFail, hintIn(err), "%v", err)
		}
	}
	if len(d.findings) == 0 {
		d.add("artifacts", findingOK, "", "%d artifacts are what their digests say", sound)
	}
	if g.structured() {
		if err := g.printDocument(map[string]any{"status": d.worst(), "findings": d.findings}); err != nil {
			return err
		}
	}
	return d.err()
}
