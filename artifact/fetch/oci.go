package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// models is the folder of a modelcar image that holds the model.
const models = "models"

// Annotations of an OCI artifact's layers, as oras writes them.
const (
	titleAnnotation  = "org.opencontainers.image.title"
	unpackAnnotation = "io.deis.oras.content.unpack"
)

// fetchOCI fetches from a registry: of an image what lies in /models, as Kubeflow
// and KServe take a modelcar; of an OCI artifact its files. Both are a directory.
// Credentials are those of docker login; a registry on this machine may speak HTTP.
func (j *job) fetchOCI(ctx context.Context) error {
	ref, err := name.ParseReference(j.rest)
	if err != nil {
		return j.failed("it is no image reference: "+err.Error(), "write oci://HOST/REPOSITORY:TAG", err)
	}
	host := ref.Context().RegistryStr()
	j.advice = advice{
		missing: "check the repository and the tag",
		denied:  "docker login " + host,
		away:    "check that the registry " + host + " runs and that this machine is online",
	}
	return patiently(ctx, func() error {
		j.meter.restart()
		if err := j.dir.RemoveAll(j.name); err != nil {
			return err
		}
		return j.fetchImage(ctx, ref)
	})
}

// fetchImage is one try.
func (j *job) fetchImage(ctx context.Context, ref name.Reference) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	err := j.extract(ctx, ref, &countingTransport{j.web, func(n int) {
		watchdog.Reset(stall)
		j.meter.add(int64(n))
	}})
	if err != nil {
		return j.because(ctx, j.explainOCI(err))
	}
	return nil
}

func (j *job) extract(ctx context.Context, ref name.Reference, web http.RoundTripper) error {
	img, err := remoteImage(ctx, ref, web)
	if err != nil {
		return err
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	var files []v1.Descriptor
	for _, l := range m.Layers {
		j.meter.expect(l.Size)
		if l.Annotations[titleAnnotation] != "" {
			files = append(files, l)
		}
	}
	if err := j.dir.Mkdir(j.name, 0o755); err != nil {
		return err
	}
	if len(files) > 0 {
		return j.artifactFiles(ctx, img, files)
	}
	all := mutate.Extract(img)
	defer all.Close()
	found, err := j.untar(ctx, all, models)
	if err == nil && !found {
		return j.failed("the image has nothing in /models", "build it with the model's files in /models, as a modelcar has them", nil)
	}
	return err
}

// remoteImage finds the image for this machine: of several, the first where none
// is made for it, since a model's files are the same everywhere.
func remoteImage(ctx context.Context, ref name.Reference, web http.RoundTripper) (v1.Image, error) {
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(web), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}),
	}
	desc, err := remote.Get(ref, options...)
	if err != nil {
		return nil, err
	}
	if !desc.MediaType.IsIndex() {
		return desc.Image()
	}
	img, err := desc.Image()
	if err == nil {
		return img, nil
	}
	index, ierr := desc.ImageIndex()
	if ierr != nil {
		return nil, ierr
	}
	list, ierr := index.IndexManifest()
	if ierr != nil {
		return nil, ierr
	}
	for _, d := range list.Manifests {
		if d.MediaType.IsImage() && (d.Platform == nil || d.Platform.OS != "unknown") {
			return index.Image(d.Digest)
		}
	}
	return nil, err
}

// artifactFiles fetches the files of an OCI artifact.
func (j *job) artifactFiles(ctx context.Context, img v1.Image, files []v1.Descriptor) error {
	for _, d := range files {
		layer, err := img.LayerByDigest(d.Digest)
		if err != nil {
			return err
		}
		body, err := layer.Compressed()
		if err != nil {
			return err
		}
		if d.Annotations[unpackAnnotation] == "true" {
			err = j.unpackLayer(ctx, body)
		} else {
			err = j.write(d.Annotations[titleAnnotation], body, 0o644)
		}
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) unpackLayer(ctx context.Context, body io.Reader) error {
	z, err := gzip.NewReader(body)
	if err != nil {
		return err
	}
	if _, err = j.untar(ctx, z, ""); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body) // to its end, where its digest is checked
	return err
}

// explainOCI puts an answer of a registry into words.
func (j *job) explainOCI(err error) error {
	if e, ok := errors.AsType[*transport.Error](err); ok {
		var codes []string
		for _, d := range e.Errors {
			codes = append(codes, string(d.Code))
		}
		return j.status(e.StatusCode, strings.Join(codes, ", "))
	}
	return err
}

// countingTransport tells of every piece that comes.
type countingTransport struct {
	http.RoundTripper
	came func(n int)
}

func (t *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err == nil && req.Method == http.MethodGet {
		resp.Body = &countingBody{resp.Body, t.came}
	}
	return resp, err
}

type countingBody struct {
	io.ReadCloser
	came func(n int)
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.came(n)
	return n, err
}
