package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/bundle"
)

// placed are a bundle's files, unpacked beside the folder where they are to be.
type placed struct {
	tmp, folder string
	missing     string // the uppermost folder that was made for them; "" where all were there
	lock        *os.File
}

// loadSuffix ends the name of a folder that files are unpacked to.
const loadSuffix = ".wherry-load"

// placeFiles unpacks a bundle's files. A folder that is there must be empty or have
// the same files, else it is a *usageError and nothing was changed.
func placeFiles(ctx context.Context, r io.Reader, folder string) (*placed, error) {
	p := &placed{folder: folder, missing: firstMissing(filepath.Dir(folder)),
		tmp: filepath.Join(filepath.Dir(folder), "."+filepath.Base(folder)+loadSuffix)}
	err := p.unpack(ctx, r)
	if err == nil && !p.fits() {
		err = &usageError{msg: fmt.Sprintf("%s has other files than the bundle; nothing was loaded", folder), mend: "name a folder that does not exist yet: -C DIR"}
	}
	if err != nil {
		p.clean()
		return nil, err
	}
	return p, nil
}

// unpack makes tmp anew; what a killed load has left of it is removed.
func (p *placed) unpack(ctx context.Context, r io.Reader) (err error) {
	if err := os.MkdirAll(p.tmp, 0o755); err != nil {
		return &usageError{msg: fmt.Sprintf("make %s: %v", p.folder, err), mend: "-C DIR, with a folder that you may write"}
	}
	if p.lock, err = os.Open(p.tmp); err != nil {
		return err
	}
	if err := unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		p.lock.Close()
		p.lock = nil
		return &bundle.BusyError{File: p.folder}
	}
	root, err := os.OpenRoot(p.tmp)
	if err != nil {
		return err
	}
	defer root.Close()
	left, err := fs.ReadDir(root.FS(), ".")
	for _, d := range left {
		err = errors.Join(err, root.RemoveAll(d.Name()))
	}
	if err != nil {
		return err
	}
	return artifact.Unpack(ctx, root, r, true)
}

// fits reports whether the files can go to the folder.
func (p *placed) fits() bool {
	there, err := os.ReadDir(p.folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(there) == 0 {
		return true
	}
	return err == nil && sameTree(p.tmp, p.folder)
}

func (p *placed) commit(context.Context) error {
	if there, err := os.ReadDir(p.folder); err == nil && len(there) > 0 {
		return nil // the same, see fits
	}
	return os.Rename(p.tmp, p.folder)
}

// clean removes what was not brought to its place.
func (p *placed) clean() {
	if p.lock != nil {
		_ = os.RemoveAll(p.tmp)
		p.lock.Close()
	}
	for dir := filepath.Dir(p.folder); p.missing != "" && strings.HasPrefix(dir, p.missing); dir = filepath.Dir(dir) {
		_ = os.Remove(dir) // only if nothing is in it
	}
}

// firstMissing is the uppermost folder of path that is not there; "" where all are.
func firstMissing(path string) (missing string) {
	for ; ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); err == nil || path == filepath.Dir(path) {
			return missing
		}
		missing = path
	}
}

// sameTree reports whether all that is in a is also in b, file by file.
func sameTree(a, b string) bool {
	err := filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(a, path)
		if err != nil {
			return err
		}
		one, err := fileOrLink(path, d.Type())
		two, err2 := fileOrLink(filepath.Join(b, rel), d.Type())
		if err == nil && err2 == nil && !bytes.Equal(one, two) {
			err = fs.ErrExist
		}
		return errors.Join(err, err2)
	})
	return err == nil
}

// fileOrLink is the content of a file, or the target of a link.
func fileOrLink(path string, mode fs.FileMode) ([]byte, error) {
	if mode&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		return []byte(target), err
	}
	return os.ReadFile(path)
}
