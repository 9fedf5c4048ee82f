package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// newBlobs is the folder of a stage with copies that are not shared yet, in 16
// folders: two processors making files in the same one wait for each other.
const newBlobs = "blobs"

func newBlobPath(name string) string { return path.Join(newBlobs, name[:1], name) }

func (n *snapshot) makeNewBlobs() error {
	if err := n.st.Mkdir(newBlobs, 0o755); err != nil {
		return err
	}
	for i := range n.staged {
		if err := n.st.Mkdir(fmt.Sprintf("%s/%x", newBlobs, i), 0o755); err != nil {
			return err
		}
		var err error
		if n.staged[i], err = openDir(n.st.Root, fmt.Sprintf("%s/%x", newBlobs, i)); err != nil {
			return err
		}
	}
	return nil
}

func (n *snapshot) closeNewBlobs() {
	for _, dir := range n.staged {
		dir.Close() // nil: os.ErrInvalid
	}
}

// blobName names the shared copy of a file: by content and mode.
func blobName(e *entry) string {
	if e.kind == kindExec {
		return e.sum.hex() + ".x"
	}
	return e.sum.hex()
}

func blobPath(name string) string { return filepath.Join(name[:2], name) }

// ingest fills in the digests of all files, and copies those that are new.
func (n *snapshot) ingest(ctx context.Context) error {
	n.need = 0
	for i := range n.object.entries {
		e := &n.object.entries[i]
		if _, certain, _ := n.known.known(e); e.isFile() && !certain {
			n.need += e.stat.size
		}
	}
	err := parallel(ctx, n.object.entries, func(ctx context.Context, e *entry) error {
		if !e.isFile() {
			return nil
		}
		err := n.ingestFile(ctx, e)
		// An editor saves it just now: as it is then, at once rather than all anew.
		for range 10 {
			if _, ok := errors.AsType[*ChangedError](err); !ok || n.lookAgain(e) != nil || !e.isFile() {
				break
			}
			err = n.ingestFile(ctx, e)
		}
		if errors.Is(err, fs.ErrNotExist) && n.object.kind == kindDir {
			e.kind = 0 // gone in the meantime
			return nil
		}
		return err
	})
	n.object.entries = slices.DeleteFunc(n.object.entries, func(e entry) bool { return e.kind == 0 })
	return err
}

func (n *snapshot) lookAgain(e *entry) error {
	dir, err := openDir(n.root, path.Dir(e.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if e.stat, err = statAt(dir, path.Base(e.path)); err == nil {
		e.kind = e.stat.kind()
	}
	return err
}

func (n *snapshot) ingestFile(ctx context.Context, e *entry) (err error) {
	if e.hollow {
		return n.ingestText(e, nil)
	}
	last, certain, ok := n.known.known(e)
	if certain {
		e.sum = last
		return nil
	}
	n.read.Add(1)
	if e.stat.size <= chunk {
		return n.ingestSmall(e)
	}
	if ok { // probably as it was, or the copy is there already
		if e.sum, err = hashFile(ctx, n.root, e.path, e.stat); err != nil || n.shared(e) {
			return err
		}
	}
	i := n.copies.Add(1)
	tmp := fmt.Sprint("new-", i)
	dir := n.staged[i%int64(len(n.staged))]
	e.sum, err = copyFile(ctx, n.root, e, dir, tmp)
	if err != nil || n.shared(e) || !n.claim(e) {
		return errors.Join(err, ignore(unix.Unlinkat(int(dir.Fd()), tmp, 0), fs.ErrNotExist))
	}
	return n.st.Rename(path.Join(newBlobs, path.Base(dir.Name()), tmp), newBlobPath(blobName(e)))
}

// ingestSmall reads the whole file, and writes only what is new.
func (n *snapshot) ingestSmall(e *entry) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	data, err := readSmall(n.root, e, *buf)
	if err != nil {
		return err
	}
	return n.ingestText(e, data)
}

// ingestText writes a copy of what e holds, if it is new.
func (n *snapshot) ingestText(e *entry, data []byte) error {
	e.sum = sha256.Sum256(data)
	if n.shared(e) || !n.claim(e) {
		return nil
	}
	return placeText(data, e.kind, n.staged[e.sum[0]>>4], blobName(e))
}

// readSmall reads the file e below root, as it was seen, into buf.
func readSmall(root *os.Root, e *entry, buf []byte) ([]byte, error) {
	f, err := openFile(root, e.path, e.stat)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	k, err := io.ReadFull(f, buf[:e.stat.size])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	return buf[:k], unchanged(f, e.stat, int64(k), path.Join(root.Name(), e.path))
}

// claim reports whether the caller is the first with a new copy of e.
func (n *snapshot) claim(e *entry) bool {
	_, taken := n.claimed.LoadOrStore(blobName(e), true)
	return !taken
}

// shared reports whether the copy of e is there, judged by its size.
func (n *snapshot) shared(e *entry) bool {
	st, err := statPath(filepath.Join(n.store.blobs(), blobPath(blobName(e))))
	return err == nil && st.kind() == e.kind && st.size == e.stat.size
}

// buildTree makes the object of hard links, and then shares the new copies.
func (n *snapshot) buildTree(ctx context.Context) error {
	blobs, err := os.Open(n.store.blobs())
	if err != nil {
		return err
	}
	defer blobs.Close()
	place := func(ctx context.Context, e *entry, dst *os.File, name string) error {
		return n.placeBlob(ctx, e, dst, name, blobs)
	}
	if err := stageObject(ctx, n.st, n.object, place); err != nil {
		return err
	}
	n.store.reached("staged")
	if err := n.sync(); err != nil {
		return err
	}
	n.store.reached("synced")
	if err := n.share(); err != nil {
		return err
	}
	n.store.reached("shared")
	return n.store.commit(ctx, n.st, n.object)
}

// placeBlob links the copy of e into the tree; it makes another copy where the
// file system allows no more links.
func (n *snapshot) placeBlob(ctx context.Context, e *entry, dst *os.File, name string, blobs *os.File) error {
	blob := blobName(e)
	from, src := n.staged[e.sum[0]>>4], blob
	err := n.store.link(from, src, dst, name)
	if errors.Is(err, fs.ErrNotExist) {
		from, src = blobs, blobPath(blob)
		err = n.store.link(from, src, dst, name)
	}
	if err == nil {
		st, err := statAt(dst, name)
		if err != nil || st.kind() == e.kind && st.size == e.stat.size {
			return err
		}
		// Damaged: replace it by a copy, and let the next snapshot share a new one.
		if err := errors.Join(unix.Unlinkat(int(dst.Fd()), name, 0), unix.Unlinkat(int(from.Fd()), src, 0)); err != nil {
			return err
		}
	} else if err = ignore(err, fs.ErrNotExist, unix.EMLINK, unix.EPERM, unix.ENOTSUP, unix.ENOSYS); err != nil {
		return err
	}
	n.direct.Add(1)
	if e.hollow {
		return placeText(nil, e.kind, dst, name)
	}
	return placeCopy(n.root)(ctx, e, dst, name)
}

// sync makes new copies and the tree durable, before either gets its name.
func (n *snapshot) sync() error {
	o := *n.object
	if o.kind == kindDir && n.direct.Load() == 0 {
		o.entries = slices.DeleteFunc(slices.Clone(o.entries), func(e entry) bool { return e.kind != kindDir })
	}
	copies := n.newCopies()
	if len(copies) >= manyFiles {
		if done, err := syncAll(n.st.lock); done {
			return err
		}
	}
	for _, name := range copies {
		if err := syncIn(n.st.Root, newBlobPath(name)); err != nil {
			return err
		}
	}
	return syncStage(n.st, &o)
}

// share renames the new copies to where the next snapshot finds them. It need
// not be durable: one that is missing is copied again.
func (n *snapshot) share() error {
	copies := n.newCopies()
	for _, name := range copies {
		from, to := n.st.path(newBlobPath(name)), filepath.Join(n.store.blobs(), blobPath(name))
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) {
			if err = mkdir(filepath.Dir(to)); err == nil || errors.Is(err, fs.ErrExist) {
				err = os.Rename(from, to)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newCopies names the copies in the stage.
func (n *snapshot) newCopies() []string {
	var names []string
	n.claimed.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	return names
}
