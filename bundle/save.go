package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/distribution/reference"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wherry-ml/wherry/artifact"
)

const (
	kindDirectory = artifact.Directory
	maxRecords    = 1 << 30 // bytes of the document and of the records
)

// Plan is what a bundle is to hold. Documents are deterministic: the same plan makes
// the same bundle.
type Plan struct {
	Document          // but what Save fills in: Artifacts, Logs, Records, Files
	Objects  []string // digests of artifacts
	LogPaths []string // below WHERRY_HOME
	Rows     []byte   // records of the database; nil: none
	Folder   string   // whose files belong to the bundle; empty: none
}

// Source is where a bundle's content comes from.
type Source struct {
	Engine  Engine // nil where there are no images
	Objects interface {
		Export(ctx context.Context, digest string, w io.Writer) (kind string, err error)
	}
	Home *os.Root
}

// Saved says what Save has written.
type Saved struct {
	Digest string // of index.json: it stands for all of the content
	Size   int64  // bytes of the file
	Kept   int64  // bytes that an interrupted Save had written before
}

// Progress is told what is written, and how many bytes have been so far.
type Progress func(what string, bytes int64)

// Save writes the bundle to path, by way of path.partial, which stays where it is
// interrupted: the next Save of the same goes on there.
func Save(ctx context.Context, path string, plan *Plan, from Source, told Progress) (*Saved, error) {
	s := &save{plan: plan, from: from, told: told}
	w, err := newWriter(ctx, path, func(n int64) { s.bytes += n; s.told(s.what, s.bytes) })
	if err != nil {
		return nil, fmt.Errorf("save bundle: %w", err)
	}
	defer w.Close()
	s.w = w
	kept := w.kept
	index, err := s.all(ctx)
	if err == nil && w.stale() { // the interrupted one was of something else
		kept = 0
		if err = w.begin(); err == nil {
			index, err = s.all(ctx)
		}
	}
	if err == nil {
		err = w.finish(index)
	}
	if isFull(err) {
		return nil, &FullError{Doing: "save bundle " + path, Err: err,
			Mend: "free some space, and repeat the command: it goes on from " + path + partialSuffix + "; or -o with a file on another disk"}
	}
	if err != nil {
		return nil, fmt.Errorf("save bundle: %w", err)
	}
	return &Saved{Digest: digestOf(index), Size: w.at, Kept: kept}, nil
}

type save struct {
	plan  *Plan
	from  Source
	told  Progress
	w     *writer
	what  string
	bytes int64
}

// all writes all blobs, in an order that the plan decides, and returns the index.
func (s *save) all(ctx context.Context) ([]byte, error) {
	doc := s.plan.Document
	doc.Version = version
	doc.Images, doc.Artifacts, doc.Logs = []Image{}, []Object{}, []Log{}
	for _, step := range []func(context.Context, *Document) error{s.images, s.objects, s.logs, s.rest} {
		if err := step(ctx, &doc); err != nil {
			return nil, err
		}
	}
	size := func(d string) int64 { return s.w.blobs[d].size }
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	config, err := s.w.put(text)
	if err != nil {
		return nil, err
	}
	manifest, err := encodeManifest(&doc, descriptor(typeDocument, config, size(config)), size)
	if err != nil {
		return nil, err
	}
	own, err := s.w.put(manifest)
	if err != nil {
		return nil, err
	}
	return encodeIndex(&doc, descriptor(oci.MediaTypeImageManifest, own, size(own)), size)
}

func (s *save) images(ctx context.Context, doc *Document) error {
	for _, im := range s.plan.Images {
		s.what = "image " + im.Name
		s.told(s.what, s.bytes)
		d, err := writeImage(ctx, s.w, s.from.Engine, im.Name, im.ID)
		if err != nil {
			return err
		}
		im.Manifest, im.Type = d.Digest.String(), d.MediaType
		doc.Images = append(doc.Images, im)
	}
	return nil
}

func (s *save) objects(ctx context.Context, doc *Document) error {
	digests := slices.Clone(s.plan.Objects)
	slices.Sort(digests)
	for _, digest := range slices.Compact(digests) {
		s.what = "artifact " + digest[:min(19, len(digest))]
		s.told(s.what, s.bytes)
		kind := ""
		blob, err := s.stream(ctx, func(w io.Writer) (err error) {
			kind, err = s.from.Objects.Export(ctx, digest, w)
			return err
		})
		if err != nil {
			return fmt.Errorf("artifact %s: %w", digest, err)
		}
		doc.Artifacts = append(doc.Artifacts, Object{Digest: digest, Kind: kind, Blob: blob})
	}
	return nil
}

// stream writes what from produces.
func (s *save) stream(ctx context.Context, from func(io.Writer) error) (string, error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := from(w)
		w.CloseWithError(err)
		done <- err
	}()
	blob, err := s.w.copy(ctx, r)
	r.CloseWithError(io.ErrClosedPipe)
	if failed := <-done; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		err = failed
	}
	return blob, err
}

func (s *save) logs(ctx context.Context, doc *Document) error {
	paths := slices.Clone(s.plan.LogPaths)
	slices.Sort(paths)
	for _, path := range paths {
		s.what = path
		f, err := s.from.Home.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was cleaned up
		}
		if err != nil {
			return err
		}
		blob, err := s.w.copy(ctx, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("log %s: %w", path, err)
		}
		doc.Logs = append(doc.Logs, Log{Path: path, Blob: blob})
	}
	return nil
}

func (s *save) rest(ctx context.Context, doc *Document) (err error) {
	s.what = "files and records"
	s.told(s.what, s.bytes)
	if s.plan.Folder != "" {
		root, err := os.OpenRoot(s.plan.Folder)
		if err != nil {
			return err
		}
		defer root.Close()
		if doc.Files, err = s.stream(ctx, func(w io.Writer) error { return artifact.Pack(ctx, root, w) }); err != nil {
			return fmt.Errorf("files: %w", err)
		}
	}
	if s.plan.Rows != nil {
		doc.Records, err = s.w.put(s.plan.Rows)
	}
	return err
}

// fullName is an image's name with its registry and tag.
func fullName(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TagNameOnly(named).String()
}
