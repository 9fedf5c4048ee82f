package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
)

// artifacts is the artifact store as package dag asks for it.
type artifacts struct{ *artifact.Store }

// View watches which files of a stored directory a step opens.
func (a artifacts) View(ctx context.Context, digest, at string) (dag.View, error) {
	v, err := a.Store.View(ctx, digest, at)
	if errors.Is(err, artifact.ErrNoView) {
		return nil, fmt.Errorf("%w: %w", dag.ErrNoView, err)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}
