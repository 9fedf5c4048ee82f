package bundle

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types of what is wherry's own in a bundle.
const (
	typeBundle   = "application/vnd.wherry.bundle.v1"               // artifactType
	typeDocument = "application/vnd.wherry.bundle.document.v1+json" // config
	typeRecords  = "application/vnd.wherry.records.v1+json"         // rows of the database
	typeFile     = "application/vnd.wherry.file.v1"                 // an artifact that is a file, or a log
	typeTree     = "application/vnd.wherry.tree.v1.tar"             // an artifact that is a directory
	typeFiles    = "application/vnd.wherry.files.v1.tar"            // the project's files
)

// annotationImage is where engines look for an image's name.
const annotationImage = "io.containerd.image.name"

// version is that of Document; a newer one is refused.
const version = 1

// Document says what lies where in a bundle. Digests are those of blobs.
type Document struct {
	Version   int      `json:"version"`
	Pipeline  string   `json:"pipeline"`          // its name
	Run       string   `json:"run,omitempty"`     // id of the run that was saved
	RunName   string   `json:"runName,omitempty"` // its name
	Backend   string   `json:"backend"`
	Platform  string   `json:"platform,omitempty"`
	Images    []Image  `json:"images"`
	Artifacts []Object `json:"artifacts"`
	Logs      []Log    `json:"logs"`
	Records   string   `json:"records,omitempty"`
	Files     string   `json:"files,omitempty"`
	Start     []string `json:"start,omitempty"` // arguments of "wherry run"; {files} is where the files are
	Needs     []string `json:"needs,omitempty"` // what is not in it, for people
}

// Image is an image of the engine.
type Image struct {
	Name     string `json:"name"` // as the engine knows it
	ID       string `json:"id"`   // that it has on the engine that saved it
	Manifest string `json:"manifest"`
	Type     string `json:"type"` // media type of the manifest
}

// Object is an artifact of the store.
type Object struct {
	Digest string `json:"digest"` // of the artifact
	Kind   string `json:"kind"`   // file, executable or directory
	Blob   string `json:"blob"`
}

// Log is the log of an attempt.
type Log struct {
	Path string `json:"path"` // below WHERRY_HOME
	Blob string `json:"blob"`
}

func descriptor(mediaType, d string, size int64) oci.Descriptor {
	return oci.Descriptor{MediaType: mediaType, Digest: digest.Digest(d), Size: size}
}

// encodeIndex is the text of index.json; the document decides all of it.
func encodeIndex(doc *Document, own oci.Descriptor, size func(digest string) int64) ([]byte, error) {
	own.Annotations = map[string]string{oci.AnnotationRefName: doc.Pipeline}
	own.ArtifactType = typeBundle
	index := oci.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageIndex, Manifests: []oci.Descriptor{own}}
	for _, im := range doc.Images {
		d := descriptor(im.Type, im.Manifest, size(im.Manifest))
		d.Annotations = map[string]string{annotationImage: fullName(im.Name), oci.AnnotationRefName: im.Name}
		index.Manifests = append(index.Manifests, d)
	}
	return json.Marshal(index)
}

// encodeManifest is the artifact manifest of a document that is a blob already.
func encodeManifest(doc *Document, config oci.Descriptor, size func(digest string) int64) ([]byte, error) {
	m := oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, ArtifactType: typeBundle,
		Config: config, Layers: []oci.Descriptor{}}
	add := func(mediaType, d, title string) {
		layer := descriptor(mediaType, d, size(d))
		layer.Annotations = map[string]string{oci.AnnotationTitle: title}
		m.Layers = append(m.Layers, layer)
	}
	if doc.Records != "" {
		add(typeRecords, doc.Records, "records")
	}
	if doc.Files != "" {
		add(typeFiles, doc.Files, "files")
	}
	for _, a := range doc.Artifacts {
		mediaType := typeFile
		if a.Kind == kindDirectory {
			mediaType = typeTree
		}
		add(mediaType, a.Blob, a.Digest)
	}
	for _, l := range doc.Logs {
		add(typeFile, l.Blob, l.Path)
	}
	return json.Marshal(m)
}

// readDocument finds the document of a sound archive, and checks that everything it
// names is there and that nothing says otherwise.
func (a *archive) readDocument() (*Document, error) {
	var index oci.Index
	if err := json.Unmarshal(a.index, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) == 0 || index.Manifests[0].ArtifactType != typeBundle {
		return nil, errors.New("it is an OCI image layout, but no bundle of wherry")
	}
	own, err := a.bytes(index.Manifests[0].Digest.String(), maxRecords)
	if err != nil {
		return nil, err
	}
	var m oci.Manifest
	if err := json.Unmarshal(own, &m); err != nil {
		return nil, fmt.Errorf("its manifest: %w", err)
	}
	text, err := a.bytes(m.Config.Digest.String(), maxRecords)
	if err != nil {
		return nil, err
	}
	doc := &Document{}
	if err := json.Unmarshal(text, doc); err != nil {
		return nil, fmt.Errorf("its document: %w", err)
	}
	if doc.Version > version {
		return nil, &VersionError{What: fmt.Sprintf("its document has version %d, this wherry knows %d", doc.Version, version)}
	}
	if err := a.check(doc); err != nil {
		return nil, err
	}
	size := func(d string) int64 { return a.blobs[d].size }
	again, err := encodeManifest(doc, descriptor(typeDocument, digestOf(text), int64(len(text))), size)
	if err != nil || string(again) != string(own) {
		return nil, errors.New("its manifest and its document disagree")
	}
	again, err = encodeIndex(doc, descriptor(oci.MediaTypeImageManifest, digestOf(own), int64(len(own))), size)
	if err != nil || string(again) != string(a.index) {
		return nil, errors.New("index.json and its document disagree")
	}
	return doc, nil
}

// check looks for every blob that the document names.
func (a *archive) check(doc *Document) error {
	var names []string
	for _, im := range doc.Images {
		names = append(names, im.Manifest)
	}
	for _, o := range doc.Artifacts {
		names = append(names, o.Blob)
	}
	for _, l := range doc.Logs {
		names = append(names, l.Blob)
	}
	for _, d := range append(names, doc.Records, doc.Files) {
		if _, ok := a.blobs[d]; !ok && d != "" {
			return fmt.Errorf("blob %s is not in it", d)
		}
	}
	return nil
}
