package main

import (
	"context"
	"fmt"
	"path"
	"path/filepath"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/watch"
)

// snapshotOptions say what does not count of the read-only mount i: what editors and
// version control keep beside the sources, and what lies where something else is
// mounted that steps may write to, or that is used as it is.
func snapshotOptions(mounts []dag.Mount, i int, note func(string)) artifact.SnapshotOptions {
	o := artifact.SnapshotOptions{
		Note: note,
		Skip: func(rel string, _ bool) bool {
			// A file that an editor has open is no other source, though there is a swap file beside it.
			return watch.EditorFile(path.Base(rel)) || watch.VersionControl(rel)
		},
	}
	source := physical(mounts[i].Source)
	for _, m := range mounts {
		if m.ReadOnly && !m.Live {
			continue
		}
		if rel, ok := below(physical(m.Source), source); ok && rel != "." {
			o.Hollow = append(o.Hollow, filepath.ToSlash(rel))
		}
	}
	return o
}

// LiveDigest stands for what lies in the live mount i now.
func (a artifacts) LiveDigest(ctx context.Context, mounts []dag.Mount, i int) (string, error) {
	return a.Store.LiveDigest(ctx, mounts[i].Source, snapshotOptions(mounts, i, nil))
}

// LiveChanges says what differs between two lists of a live mount.
func (a artifacts) LiveChanges(ctx context.Context, before, now string) ([]dag.LiveChange, error) {
	changes, err := a.Store.LiveChanges(ctx, before, now)
	var out []dag.LiveChange
	for _, c := range changes {
		out = append(out, dag.LiveChange(c))
	}
	return out, err
}

// refuseLive says that a bundle can't have what a live mount holds.
func refuseLive(mounts []dag.Mount) error {
	for _, m := range mounts {
		if m.Live {
			return &usageError{msg: fmt.Sprintf("bundle save: %s is mounted live (:ro,live): what is in it is not kept, and its times and inodes are this machine's own", m.Source),
				mend: fmt.Sprintf("run it with -v %s:%s:ro, and save that run", m.Source, m.Target)}
		}
	}
	return nil
}
