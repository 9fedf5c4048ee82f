package bundle

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// Engine is what Save and Load need of an engine. Archives are those of docker save
// and docker load.
type Engine interface {
	SaveImage(ctx context.Context, name string) (io.ReadCloser, error)
	LoadImages(ctx context.Context, archive io.Reader) error
	// ImageID returns the id that the engine has for a name; empty: none.
	ImageID(ctx context.Context, name string) (string, error)
}

const (
	maxManifest = 4 << 20 // bytes of a manifest or an image's configuration
	smallBlob   = 256 << 10
	maxLayers   = 1000
)

// dockerImage is an entry of the manifest.json of docker save: paths in its archive.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// imageWriter takes an image of the engine into an archive.
type imageWriter struct {
	w     *writer
	small map[string][]byte // what is written only if it is needed, by path
	path  map[string]string // digests of what was written, by path
	link  map[string]string // by path
}

// writeImage writes the image with this id and returns the descriptor of its
// manifest, or of its index where the engine's id names one. Of an image that is
// written already nothing is read.
func writeImage(ctx context.Context, w *writer, e Engine, name, id string) (oci.Descriptor, error) {
	if d, ok := writtenImage(w, id); ok {
		return d, nil
	}
	r, err := e.SaveImage(ctx, name)
	if err != nil {
		return oci.Descriptor{}, err
	}
	defer r.Close()
	in := &imageWriter{w: w, small: map[string][]byte{}, path: map[string]string{}, link: map[string]string{}}
	if err := in.read(ctx, r); err != nil {
		return oci.Descriptor{}, fmt.Errorf("read image %s: %w", name, err)
	}
	d, err := in.finish(id)
	if err != nil {
		return oci.Descriptor{}, fmt.Errorf("read image %s: %w", name, err)
	}
	return d, nil
}

// read writes what is large at once, whatever it is called, and keeps the rest.
func (in *imageWriter) read(ctx context.Context, r io.Reader) error {
	tr := tar.NewReader(&canceling{ctx, r})
	total := 0
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeSymlink:
			in.link[name] = path.Join(path.Dir(name), h.Linkname)
		case h.Typeflag == tar.TypeLink:
			in.link[name] = path.Clean(h.Linkname)
		case h.Typeflag != tar.TypeReg:
		case h.Size > smallBlob && !strings.HasSuffix(name, ".json"):
			in.path[name], err = in.w.copy(ctx, tr)
		case total+int(h.Size) > 256<<20:
			err = errors.New("it has too many parts")
		default:
			total += int(h.Size)
			in.small[name], err = io.ReadAll(tr)
		}
		if err != nil {
			return err
		}
	}
}

// blob writes what the archive has at a path, and describes it.
func (in *imageWriter) blob(at, mediaType string) (oci.Descriptor, error) {
	at = path.Clean(at)
	for range 10 {
		to, ok := in.link[at]
		if !ok {
			break
		}
		at = to
	}
	digest, ok := in.path[at]
	if data, isSmall := in.small[at]; !ok && isSmall {
		var err error
		if digest, err = in.w.put(data); err != nil {
			return oci.Descriptor{}, err
		}
	} else if !ok {
		return oci.Descriptor{}, fmt.Errorf("the engine left out %s", at)
	}
	return descriptor(mediaType, digest, in.w.blobs[digest].size), nil
}

// finish writes what is small and needed: the manifest that id names, else one for
// the configuration that id names.
func (in *imageWriter) finish(id string) (oci.Descriptor, error) {
	if data, ok := in.small[digestName(id)]; ok && digestOf(data) == id && mediaTypeOf(data) != "" {
		return in.original(id, data)
	}
	var images []dockerImage
	if err := json.Unmarshal(in.small["manifest.json"], &images); err != nil || len(images) != 1 {
		return oci.Descriptor{}, errors.New("the engine's archive has no manifest.json for it")
	}
	if len(images[0].Layers) > maxLayers {
		return oci.Descriptor{}, fmt.Errorf("it has %d layers", len(images[0].Layers))
	}
	m := oci.Manifest{MediaType: oci.MediaTypeImageManifest, Layers: []oci.Descriptor{}}
	m.SchemaVersion = 2
	for _, l := range images[0].Layers {
		d, err := in.blob(l, oci.MediaTypeImageLayer)
		if err != nil {
			return d, err
		}
		m.Layers = append(m.Layers, d)
	}
	var err error
	if m.Config, err = in.blob(images[0].Config, oci.MediaTypeImageConfig); err != nil {
		return m.Config, err
	}
	if m.Config.Digest.String() != id {
		return m.Config, fmt.Errorf("the engine gave %s for %s", m.Config.Digest, id)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return m.Config, err
	}
	digest, err := in.w.put(text)
	return descriptor(oci.MediaTypeImageManifest, digest, int64(len(text))), err
}

// original writes a manifest or an index as the engine has it, with what it names;
// of an index, what is there.
func (in *imageWriter) original(id string, data []byte) (oci.Descriptor, error) {
	var any struct {
		Config    *oci.Descriptor
		Layers    []oci.Descriptor
		Manifests []oci.Descriptor
	}
	if err := json.Unmarshal(data, &any); err != nil {
		return oci.Descriptor{}, err
	}
	for _, d := range append(any.Layers, any.Manifests...) {
		at := digestName(d.Digest.String())
		_, written := in.path[at]
		child, isSmall := in.small[at]
		var err error
		switch {
		case len(any.Manifests) > 0 && isSmall:
			_, err = in.original(d.Digest.String(), child)
		case len(any.Manifests) > 0 && !written: // of another platform
		default:
			_, err = in.blob(at, d.MediaType)
		}
		if err != nil {
			return d, err
		}
	}
	if any.Config != nil {
		if _, err := in.blob(digestName(any.Config.Digest.String()), any.Config.MediaType); err != nil {
			return *any.Config, err
		}
	}
	_, err := in.w.put(data)
	return descriptor(mediaTypeOf(data), id, int64(len(data))), err
}

// mediaTypeOf is the type of a manifest or index; empty where data is neither.
func mediaTypeOf(data []byte) string {
	var m struct {
		SchemaVersion int
		MediaType     string
		Config        *oci.Descriptor
		Manifests     []oci.Descriptor
	}
	if json.Unmarshal(data, &m) != nil || m.SchemaVersion != 2 {
		return ""
	}
	switch {
	case m.MediaType != "":
		return m.MediaType
	case m.Manifests != nil:
		return oci.MediaTypeImageIndex
	case m.Config != nil:
		return oci.MediaTypeImageManifest
	}
	return ""
}

// writtenImage finds the manifest of an image that an interrupted Save has written
// to its end.
func writtenImage(w *writer, id string) (oci.Descriptor, bool) {
	for digest, at := range w.blobs {
		if at.size > smallBlob {
			continue
		}
		data, err := w.read(digest, smallBlob)
		if err != nil || mediaTypeOf(data) == "" {
			continue
		}
		var m oci.Manifest
		if json.Unmarshal(data, &m) != nil || m.ArtifactType != "" || m.Layers == nil || m.Config.Digest.String() != id && digest != id {
			continue
		}
		all := true
		for _, d := range append(m.Layers, m.Config) {
			all = all && w.has(d.Digest.String())
		}
		if all && w.has(digest) {
			return descriptor(mediaTypeOf(data), digest, at.size), true
		}
	}
	return oci.Descriptor{}, false
}
