package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/artifact"
)

// Bundle is a bundle that was read whole and found sound.
type Bundle struct {
	Document Document
	Digest   string // of index.json
	file     string
	a        *archive
}

// Open reads the file and checks every byte of it. A damaged one is a *BrokenError,
// one of a newer wherry a *VersionError. Close it after use.
func Open(ctx context.Context, file string, told Progress) (*Bundle, error) {
	var read int64
	a, err := openArchive(ctx, file, func(n int64) { read += n; told("checking", read) })
	if err != nil {
		return nil, err
	}
	doc, err := a.readDocument()
	if err == nil {
		return &Bundle{Document: *doc, Digest: digestOf(a.index), file: file, a: a}, nil
	}
	a.f.Close()
	if v := (*VersionError)(nil); errors.As(err, &v) {
		v.File = file
		return nil, v
	}
	return nil, &BrokenError{File: file, Err: err}
}

// Close closes the file.
func (b *Bundle) Close() error { return b.a.f.Close() }

// Machine is what a bundle is loaded into. Records and Files first only look, or make
// what nobody sees, and return what brings it in.
type Machine struct {
	Engine  Engine // nil: images are left out
	Objects interface {
		Take(ctx context.Context, digest, kind string, r io.Reader) error
		Commit(ctx context.Context) error
	}
	Records func(ctx context.Context, text []byte) (commit func(context.Context) error, err error)
	Files   func(ctx context.Context, r io.Reader) (commit func(context.Context) error, err error)
	Home    *os.Root
}

// Loaded says what Load has changed on the engine.
type Loaded struct {
	Images []string          // names that are new here or mean another image now
	Moved  map[string]string // the ids that such names had before
	Other  []string          // names whose image has another id here: cached steps run again
}

// Load brings a bundle in. What does not fit is refused before anything is changed;
// the records, by which all else is found, come last. It can be repeated.
func (b *Bundle) Load(ctx context.Context, to Machine, told Progress) (*Loaded, error) {
	commits, err := b.stage(ctx, to, told)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	loaded := &Loaded{Moved: map[string]string{}}
	if to.Engine != nil {
		if err := b.loadImages(ctx, to.Engine, loaded, told); err != nil {
			return loaded, fmt.Errorf("load bundle: %w", err)
		}
	}
	if err := to.Objects.Commit(ctx); err != nil {
		return loaded, fmt.Errorf("load bundle: %w", err)
	}
	if err := b.writeLogs(ctx, to.Home); err != nil {
		return loaded, fmt.Errorf("load bundle: %w", err)
	}
	for _, commit := range commits {
		if err := commit(ctx); err != nil {
			return loaded, fmt.Errorf("load bundle: %w", err)
		}
	}
	return loaded, nil
}

// stage checks what only its reading tells, and makes it where nobody sees it.
func (b *Bundle) stage(ctx context.Context, to Machine, told Progress) (commits []func(context.Context) error, err error) {
	doc := &b.Document
	for _, im := range doc.Images {
		if _, err := b.platformManifest(im.Manifest, 0); err != nil {
			return nil, b.broken(fmt.Errorf("image %s: %w", im.Name, err))
		}
	}
	for _, l := range doc.Logs {
		if !filepath.IsLocal(l.Path) || !strings.HasPrefix(path.Clean(l.Path), "logs/") {
			return nil, b.broken(fmt.Errorf("%q is no place for a log", l.Path))
		}
	}
	for _, o := range doc.Artifacts {
		r, _, err := b.a.blob(o.Blob)
		if err != nil {
			return nil, b.broken(err)
		}
		told("artifact "+o.Digest[:min(19, len(o.Digest))], 0)
		if err := to.Objects.Take(ctx, o.Digest, o.Kind, r); err != nil {
			return nil, b.broken(err)
		}
	}
	if doc.Files != "" {
		r, _, err := b.a.blob(doc.Files)
		if err != nil {
			return nil, b.broken(err)
		}
		commit, err := to.Files(ctx, r)
		if err != nil {
			return nil, b.broken(fmt.Errorf("files: %w", err))
		}
		commits = append(commits, commit)
	}
	if doc.Records == "" {
		return commits, nil
	}
	text, err := b.a.bytes(doc.Records, maxRecords)
	if err != nil {
		return nil, b.broken(err)
	}
	commit, err := to.Records(ctx, text)
	if err != nil {
		return nil, b.broken(err)
	}
	return append(commits, commit), nil
}

// broken is a *BrokenError, unless err has a hint of its own that says more: a full
// disk is not the bundle's fault.
func (b *Bundle) broken(err error) error {
	if isFull(err) {
		return &FullError{Doing: "load bundle " + b.file, Err: err, Mend: "free some space, and repeat the command; nothing was loaded"}
	}
	var own interface{ Hint() string }
	var corrupt *artifact.CorruptError
	var escape *artifact.EscapeError
	if errors.As(err, &own) && !errors.As(err, &corrupt) && !errors.As(err, &escape) {
		return fmt.Errorf("load bundle %s: %w", b.file, err)
	}
	return &BrokenError{File: b.file, Err: err}
}

func (b *Bundle) writeLogs(ctx context.Context, home *os.Root) error {
	for _, l := range b.Document.Logs {
		name := path.Clean(l.Path)
		if _, err := home.Lstat(name); err == nil {
			continue
		}
		r, _, err := b.a.blob(l.Blob)
		if err != nil {
			return err
		}
		if err := writeFile(ctx, home, name, r); err != nil {
			return fmt.Errorf("log %s: %w", name, err)
		}
	}
	return nil
}

// writeFile writes a file in one step.
func writeFile(ctx context.Context, root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	tmp := name + partialSuffix
	f, err := root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &canceling{ctx, r})
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(tmp, name)
	}
	return err
}
