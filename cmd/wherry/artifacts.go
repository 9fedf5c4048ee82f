package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
)

// artifacts is the artifact store as package dag asks for it.
type artifacts struct{ *artifact.Store }

// View watches which files of a stored directory a step opens.
func (a artifacts) View(ctx context.Context, digest, at string) (dag.View, error) {
	v, err := a.Store.View(ctx, digest, at)
	if errors.Is(err, artifact.ErrNoView) {
		return nil, noView{err}
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// noView is an artifact.ErrNoView, in its words, as package dag knows it.
type noView struct{ error }

func (noView) Is(target error) bool { return target == dag.ErrNoView }

// Context stands for the folder that an image is built from. What has not changed
// since the last time is not read again.
func (a artifacts) Context(ctx context.Context, dir, dockerfile string) (string, error) {
	skip, err := dockerIgnored(dir, dockerfile)
	if err != nil {
		return "", err
	}
	digest, _, err := a.Snapshot(ctx, dir, artifact.SnapshotOptions{Skip: skip})
	return digest, err
}

// dockerIgnored returns what the .dockerignore of a folder leaves out; nil: nothing. It
// never leaves out the Dockerfile, which counts although no COPY may find it.
func dockerIgnored(dir, dockerfile string) (func(rel string, dir bool) bool, error) {
	f, err := os.Open(filepath.Join(dir, ".dockerignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	dockerfile = filepath.ToSlash(filepath.Clean(dockerfile))
	return func(rel string, dir bool) bool {
		if rel == dockerfile || rel == ".dockerignore" || dir && (m.Exclusions() || strings.HasPrefix(dockerfile, rel+"/")) {
			return false
		}
		out, err := m.MatchesOrParentMatches(rel)
		return err == nil && out
	}, nil
}
