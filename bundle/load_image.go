package bundle

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// loadImages gives the engine what it lacks, shared layers once.
func (b *Bundle) loadImages(ctx context.Context, e Engine, loaded *Loaded, told Progress) error {
	var lacking []Image
	for _, im := range b.Document.Images {
		id, err := e.ImageID(ctx, im.asked())
		if err != nil {
			return err
		}
		if id == im.ID {
			continue
		}
		if id != "" {
			loaded.Moved[im.Name] = id
		}
		lacking = append(lacking, im)
		loaded.Images = append(loaded.Images, im.Name)
	}
	if len(lacking) == 0 {
		return nil
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(b.writeDocker(ctx, w, lacking, told))
	}()
	err := e.LoadImages(ctx, r)
	r.CloseWithError(io.ErrClosedPipe)
	<-done
	if err != nil {
		return err
	}
	for _, im := range lacking {
		id, err := e.ImageID(ctx, im.asked())
		if err != nil {
			return err
		}
		if id == "" {
			return fmt.Errorf("the engine took image %s and does not have it", im.Name)
		}
		if id != im.ID {
			loaded.Other = append(loaded.Other, im.Name)
		}
	}
	return nil
}

// asked is what an engine finds the image by: its id, where its name is a digest,
// which only a registry can give.
func (im Image) asked() string {
	if strings.Contains(im.Name, "@") || strings.HasPrefix(im.Name, "sha256:") {
		return im.ID
	}
	return im.Name
}

// writeDocker writes images as docker load takes them, in both of its forms.
func (b *Bundle) writeDocker(ctx context.Context, w io.Writer, images []Image, told Progress) error {
	t := tar.NewWriter(w)
	index := oci.Index{MediaType: oci.MediaTypeImageIndex}
	index.SchemaVersion = 2
	docker := []dockerImage{}
	written := map[string]bool{}
	var bytes int64
	for _, im := range images {
		d := descriptor(im.Type, im.Manifest, b.a.blobs[im.Manifest].size)
		d.Annotations = map[string]string{annotationImage: fullName(im.Name), oci.AnnotationRefName: im.Name}
		index.Manifests = append(index.Manifests, d)
		m, err := b.platformManifest(im.Manifest, 0)
		if err != nil {
			return err
		}
		one := dockerImage{Config: digestName(m.Config.Digest.String()), RepoTags: []string{fullName(im.Name)}}
		if im.asked() != im.Name {
			one.RepoTags = nil
		}
		for _, l := range m.Layers {
			one.Layers = append(one.Layers, digestName(l.Digest.String()))
		}
		docker = append(docker, one)
		for _, digest := range b.parts(im.Manifest, 0) {
			if written[digest] {
				continue
			}
			written[digest] = true
			told("image "+im.Name, bytes)
			n, err := b.copyBlob(ctx, t, digest)
			if err != nil {
				return err
			}
			bytes += n
		}
	}
	for name, x := range map[string]any{"manifest.json": docker, indexName: index} {
		text, err := json.Marshal(x)
		if err != nil {
			return err
		}
		if err := writeEntry(t, name, text); err != nil {
			return err
		}
	}
	if err := writeEntry(t, layoutName, []byte(layoutText)); err != nil {
		return err
	}
	return t.Close()
}

func writeEntry(t *tar.Writer, name string, data []byte) error {
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o444}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func (b *Bundle) copyBlob(ctx context.Context, t *tar.Writer, digest string) (int64, error) {
	r, size, err := b.a.blob(digest)
	if err != nil {
		return 0, err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: digestName(digest), Size: size, Mode: 0o444}); err != nil {
		return 0, err
	}
	return io.Copy(t, &canceling{ctx, r})
}

// manifestOrIndex is a manifest or an index.
type manifestOrIndex struct {
	Config    *oci.Descriptor
	Layers    []oci.Descriptor
	Manifests []oci.Descriptor
}

func (b *Bundle) manifest(digest string) (*manifestOrIndex, error) {
	text, err := b.a.bytes(digest, maxManifest)
	if err != nil {
		return nil, err
	}
	m := &manifestOrIndex{}
	return m, json.Unmarshal(text, m)
}

// platformManifest is the manifest itself, or the first of an index that is there
// with all its parts.
func (b *Bundle) platformManifest(digest string, depth int) (*manifestOrIndex, error) {
	m, err := b.manifest(digest)
	if err != nil {
		return nil, err
	}
	if m.Config != nil {
		for _, d := range append(slices.Clone(m.Layers), *m.Config) {
			if _, ok := b.a.blobs[d.Digest.String()]; !ok {
				return nil, fmt.Errorf("blob %s is not in it", d.Digest)
			}
		}
		return m, nil
	}
	for _, d := range m.Manifests {
		if depth < 3 {
			if one, err := b.platformManifest(d.Digest.String(), depth+1); err == nil {
				return one, nil
			}
		}
	}
	return nil, errors.New("its manifest names no image")
}

// parts are the blobs of an image that are there: layers first.
func (b *Bundle) parts(digest string, depth int) []string {
	m, err := b.manifest(digest)
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range m.Manifests {
		if depth < 3 {
			out = append(out, b.parts(d.Digest.String(), depth+1)...)
		}
	}
	for _, d := range m.Layers {
		out = append(out, d.Digest.String())
	}
	if m.Config != nil {
		out = append(out, m.Config.Digest.String())
	}
	out = append(out, digest)
	return slices.DeleteFunc(out, func(d string) bool { _, ok := b.a.blobs[d]; return !ok })
}
