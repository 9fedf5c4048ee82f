package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filetree"
)

// PartKind is what a part of the store is.
type PartKind string

// The kinds of parts.
const (
	PartObject   PartKind = "artifact"  // a file or directory under its digest
	PartBlob     PartKind = "source"    // a file that snapshots share
	PartRemember PartKind = "snapshot"  // what is remembered of a source folder
	PartStage    PartKind = "temporary" // what an operation of a dead process left
)

// Part is something in the store that can be removed by itself.
type Part struct {
	Kind   PartKind
	Digest string // of an object
	Path   string
	Bytes  int64 // on the disk; of files that several parts share, a share
}

// Objects lists the objects of the store with what they take on the disk.
func (s *Store) Objects(ctx context.Context) ([]Part, error) {
	return s.objectParts(ctx, func(string) bool { return true }, links{})
}

// Garbage lists what is of no use where only the digests that keep reports are
// referred to. It changes nothing; sizes are those that a removal of all of it
// would free.
func (s *Store) Garbage(ctx context.Context, keep func(digest string) bool) ([]Part, error) {
	shared := links{}
	garbage, err := s.objectParts(ctx, func(digest string) bool { return !keep(digest) }, shared)
	if err != nil {
		return nil, fmt.Errorf("look for what is left over in the artifact store: %w", err)
	}
	for i := range garbage { // what other objects share with them frees nothing
		garbage[i].Bytes = 0
		err = errors.Join(err, each(ctx, garbage[i].Path, func(_ string, st stat) error {
			if st.nlink == 1 || st.kind() == kindDir {
				garbage[i].Bytes += st.blocks
			}
			return nil
		}))
	}
	blobs, err2 := s.blobGarbage(ctx, shared)
	rest, err3 := s.restGarbage(ctx, keep)
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, fmt.Errorf("look for what is left over in the artifact store: %w", err)
	}
	return append(append(garbage, blobs...), rest...), nil
}

// links counts the names that were seen of files that have several.
type links map[uint64]uint64 // by inode

// objectParts lists the objects for which want is true.
func (s *Store) objectParts(ctx context.Context, want func(digest string) bool, seen links) ([]Part, error) {
	var parts []Part
	shards, err := os.ReadDir(s.objects())
	if err != nil {
		return nil, err
	}
	for _, shard := range shards {
		objects, err := os.ReadDir(filepath.Join(s.objects(), shard.Name()))
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			p := Part{Kind: PartObject, Digest: scheme + o.Name(), Path: filepath.Join(s.objects(), shard.Name(), o.Name())}
			if _, err := parseDigest(p.Digest); err != nil || !want(p.Digest) {
				continue
			}
			err := each(ctx, p.Path, func(_ string, st stat) error {
				if st.nlink > 1 && st.kind() != kindDir {
					seen[st.ino]++
					p.Bytes += st.blocks / int64(st.nlink)
				} else {
					p.Bytes += st.blocks
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// blobGarbage lists the shared files that no object has, but for those in gone.
func (s *Store) blobGarbage(ctx context.Context, gone links) ([]Part, error) {
	var parts []Part
	err := each(ctx, s.blobs(), func(path string, st stat) error {
		if st.kind() != kindDir && gone[st.ino]+1 >= st.nlink {
			parts = append(parts, Part{Kind: PartBlob, Path: path, Bytes: st.blocks})
		}
		return nil
	})
	return parts, err
}

const manifestPrefix = "manifest-"

// restGarbage lists what is remembered of sources that are gone, and stages of
// dead processes.
func (s *Store) restGarbage(ctx context.Context, keep func(digest string) bool) ([]Part, error) {
	var parts []Part
	remembered, err := os.ReadDir(s.snapshots())
	if err != nil {
		return nil, err
	}
	for _, e := range remembered {
		path := filepath.Join(s.snapshots(), e.Name())
		hex, manifest := strings.CutPrefix(e.Name(), manifestPrefix)
		if manifest && keep(scheme+hex) || !manifest && sourceThere(path) {
			continue
		}
		p, err := partOf(ctx, PartRemember, path)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	stages, err := os.ReadDir(s.tmp())
	if err != nil {
		return nil, err
	}
	for _, e := range stages {
		path := filepath.Join(s.tmp(), e.Name())
		if free, err := unheld(path); err != nil || !free {
			continue
		}
		p, err := partOf(ctx, PartStage, path)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func partOf(ctx context.Context, kind PartKind, path string) (Part, error) {
	n, err := DiskUse(ctx, path)
	return Part{Kind: kind, Path: path, Bytes: n}, err
}

// sourceThere reports whether the source of what is remembered at path exists; it
// does where that can't be read.
func sourceThere(path string) bool {
	r, err := readRemembered(path)
	if err != nil {
		return false // broken: of no use
	}
	_, err = os.Lstat(r.Source)
	return !errors.Is(err, fs.ErrNotExist)
}

// Discard removes a part that Garbage has listed. Of an object it asks again,
// while no process can bring it in: an object that one has brought in or found
// since, or that keep reports now, stays, and Discard returns false.
func (s *Store) Discard(p Part, keep func(digest string) (bool, error)) (bool, error) {
	var err error
	gone := true
	switch p.Kind {
	case PartObject:
		gone, err = s.discardObject(p, keep)
	case PartStage:
		s.sweep()
	default:
		err = os.Remove(p.Path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("remove %s: %w", p.Path, err)
	}
	return gone, nil
}

func (s *Store) discardObject(p Part, keep func(digest string) (bool, error)) (bool, error) {
	d, err := parseDigest(p.Digest)
	if err != nil {
		return false, err
	}
	st, err := s.newStage()
	if err != nil {
		return false, err
	}
	defer st.close()
	gone, err := s.takeAway(d, st, keep)
	if err != nil || !gone {
		return false, err
	}
	return true, filetree.RemoveAll(st.path("removed"))
}

// takeAway moves an object to a stage, unless somebody uses it. The order counts:
// who pins it puts it on record before the pin is gone.
func (s *Store) takeAway(d sum, st *stage, keep func(digest string) (bool, error)) (bool, error) {
	unlock, err := s.lockObjects(unix.LOCK_EX)
	if err != nil {
		return false, err
	}
	defer unlock()
	if pinned, err := s.pinned(d); err != nil || pinned {
		return false, err
	}
	if kept, err := keep(d.String()); err != nil || kept {
		return false, err
	}
	s.reached("unused")
	_ = os.Remove(s.sealPath(d)) // how it looked; nothing depends on that
	return true, os.Rename(s.objectPath(d), st.path("removed"))
}
