package bundle

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filetree"
)

// partialSuffix is what the name of an unfinished bundle ends with.
const partialSuffix = ".partial"

// writer writes an archive to PATH.partial. What an interrupted one has left there
// is read, checked and kept.
type writer struct {
	path  string
	f     *os.File
	at    int64           // where the next header goes
	blobs map[string]span // what is written
	kept  int64           // bytes that were there already
	used  map[string]bool // blobs that were asked for this time
	wrote func(int64)     // is told of new bytes
}

// newWriter takes up PATH.partial, or makes it.
func newWriter(ctx context.Context, path string, wrote func(int64)) (*writer, error) {
	f, err := os.OpenFile(path+partialSuffix, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	w := &writer{path: path, f: f, blobs: map[string]span{}, used: map[string]bool{}, wrote: wrote}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &BusyError{File: f.Name()}
	}
	if err := w.takeUp(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// takeUp keeps what is sound of the file, from its start on.
func (w *writer) takeUp(ctx context.Context) error {
	s := &scanner{r: bufio.NewReaderSize(&canceling{ctx, w.f}, 1<<20), on: func(int64) {}}
	if name, at, data, err := s.entry(); err != nil || name != layoutName || string(data) != layoutText {
		return w.begin()
	} else {
		w.at = at.next()
	}
	for {
		name, at, _, err := s.entry()
		digest, isBlob := nameDigest(name)
		_, twice := w.blobs[digest]
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || !isBlob || twice {
			w.kept = w.at
			return w.f.Truncate(w.at)
		}
		w.blobs[digest] = at
		w.at = at.next()
	}
}

// begin starts anew.
func (w *writer) begin() error {
	w.at, w.kept = 0, 0
	clear(w.blobs)
	clear(w.used)
	if err := w.f.Truncate(0); err != nil {
		return err
	}
	return w.entry(layoutName, []byte(layoutText))
}

func (w *writer) entry(name string, data []byte) error {
	h, err := header(name, int64(len(data)))
	if err != nil {
		return err
	}
	b := make([]byte, block+padded(int64(len(data))))
	copy(b, h)
	copy(b[block:], data)
	if _, err := w.f.WriteAt(b, w.at); err != nil {
		return err
	}
	w.at += int64(len(b))
	w.wrote(int64(len(b)))
	return nil
}

// has reports whether the archive has a blob, which is part of the bundle then.
func (w *writer) has(digest string) bool {
	_, ok := w.blobs[digest]
	if ok {
		w.used[digest] = true
	}
	return ok
}

// put writes what is in memory.
func (w *writer) put(data []byte) (digest string, err error) {
	digest = digestOf(data)
	if w.has(digest) {
		return digest, nil
	}
	at := span{w.at + block, int64(len(data))}
	if err := w.entry(digestName(digest), data); err != nil {
		return "", err
	}
	w.blobs[digest] = at
	w.used[digest] = true
	return digest, nil
}

// copy writes all of r. The header, which has digest and size, is written when they
// are known; what is there already is not kept twice.
func (w *writer) copy(ctx context.Context, r io.Reader) (digest string, err error) {
	if _, err := w.f.WriteAt(make([]byte, block), w.at); err != nil {
		return "", err
	}
	h := sha256.New()
	out := io.NewOffsetWriter(w.f, w.at+block)
	size, err := io.Copy(io.MultiWriter(h, out, counter(w.wrote)), &canceling{ctx, r})
	if err != nil {
		return "", err
	}
	digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	if w.has(digest) {
		return digest, nil
	}
	at := span{w.at + block, size}
	if _, err := w.f.WriteAt(make([]byte, padded(size)-size), at.at+size); err != nil {
		return "", err
	}
	head, err := header(digestName(digest), size)
	if err != nil {
		return "", err
	}
	if _, err := w.f.WriteAt(head, w.at); err != nil {
		return "", err
	}
	w.blobs[digest] = at
	w.used[digest] = true
	w.at = at.next()
	return digest, nil
}

// read reads what is written.
func (w *writer) read(digest string, limit int64) ([]byte, error) {
	at, ok := w.blobs[digest]
	if !ok || at.size > limit {
		return nil, fmt.Errorf("blob %s can't be read", digest)
	}
	data := make([]byte, at.size)
	_, err := w.f.ReadAt(data, at.at)
	return data, err
}

// stale reports whether the archive holds what nobody asked for this time.
func (w *writer) stale() bool { return len(w.used) < len(w.blobs) }

// finish writes the index and gives the file its name.
func (w *writer) finish(index []byte) error {
	if err := w.entry(indexName, index); err != nil {
		return err
	}
	if _, err := w.f.WriteAt(trailer, w.at); err != nil {
		return err
	}
	w.at += int64(len(trailer))
	err := errors.Join(w.f.Truncate(w.at), w.f.Sync())
	if err == nil {
		err = os.Rename(w.f.Name(), w.path)
	}
	if err != nil {
		return err
	}
	return filetree.SyncDir(filepath.Dir(w.path))
}

// Close ends the writing; an unfinished file stays for the next time.
func (w *writer) Close() error { return w.f.Close() }

type counter func(int64)

func (c counter) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}
