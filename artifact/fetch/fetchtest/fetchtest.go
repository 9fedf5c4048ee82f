// Package fetchtest starts what tests fetch from: real servers of other projects,
// as processes or in this one, on 127.0.0.1.
package fetchtest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/wherry-ml/wherry/e2e/need"
)

// Key and Secret are the S3 server's credentials.
const (
	Key    = "test-key"
	Secret = "test-secret"
)

// Server is one that runs.
type Server struct {
	URL  string // http://127.0.0.1:PORT
	Stop func() // it ends with its test anyway
}

// Host is the server's address without a scheme.
func (s Server) Host() string { return strings.TrimPrefix(s.URL, "http://") }

// program returns a server that make servers has built.
func program(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", "..", "..", "bin", name)
	if _, err := os.Stat(path); err != nil {
		need.Missing(t, "%v: make servers builds it", err)
	}
	return path
}

// start starts a program that will listen at a free port, and waits until it does.
func start(t testing.TB, port int, cmd *exec.Cmd) Server {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Cleanup(stop)
	s := Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Stop: stop}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.Host()); err == nil {
			c.Close()
			return s
		}
		select {
		case <-ended:
			t.Fatalf("%s has ended: %s", filepath.Base(cmd.Path), out.String())
		default:
		}
	}
	t.Fatalf("%s does not listen: %s", filepath.Base(cmd.Path), out.String())
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// S3 starts an S3 server with a bucket of these objects. It wants Key and Secret.
func S3(t testing.TB, bucket string, objects map[string]string) Server {
	t.Helper()
	port := freePort(t)
	dir := t.TempDir()
	for _, d := range []string{"data", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program(t, "versitygw"), "--port", fmt.Sprintf("127.0.0.1:%d", port), "posix",
		"--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+Key, "ROOT_SECRET_KEY="+Secret)
	s := start(t, port, cmd)
	c := S3Client(t, s)
	if _, err := c.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	for key, text := range objects {
		_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(text)})
		if err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
	return s
}

// S3Client returns a client of the server.
func S3Client(t testing.TB, s Server) *s3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(s.URL),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(Key, Secret, "")))
	if err != nil {
		t.Fatal(err)
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true; o.Retryer = aws.NopRetryer{} })
}

// GS starts a server for Google Cloud Storage's API with a bucket of these objects.
func GS(t testing.TB, bucket string, objects map[string]string) Server {
	t.Helper()
	port := freePort(t)
	dir := t.TempDir()
	for key, text := range objects {
		at := filepath.Join(dir, bucket, key)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, port, exec.Command(program(t, "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", fmt.Sprint(port),
		"-backend", "memory", "-data", dir, "-public-host", fmt.Sprintf("127.0.0.1:%d", port)))
}

// Registry starts an image registry.
func Registry(t testing.TB) Server {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return Server{URL: s.URL, Stop: s.Close}
}

// HTTP serves a folder.
func HTTP(t testing.TB, dir string) Server {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return Server{URL: s.URL, Stop: s.Close}
}

// Layer is a layer of an image: headers, with the content of regular files.
type Layer []Entry

// Entry is one entry of a layer.
type Entry struct {
	tar.Header
	Text string
}

// File is a regular file of a layer.
func File(name, text string) Entry {
	return Entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, text}
}

// Push pushes an image of these layers, and returns it.
func Push(t testing.TB, s Server, ref string, layers ...Layer) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, l := range layers {
		data := pack(t, l)
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err == nil {
			img, err = mutate.AppendLayers(img, layer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	push(t, s, ref, img)
	return img
}

// PushFiles pushes an OCI artifact of files, as oras does.
func PushFiles(t testing.TB, s Server, ref string, files map[string]string) {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for name, text := range files {
		var err error
		img, err = mutate.Append(img, mutate.Addendum{
			Layer:       static.NewLayer([]byte(text), "application/octet-stream"),
			Annotations: map[string]string{"org.opencontainers.image.title": name},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	push(t, s, ref, img)
}

func push(t testing.TB, s Server, ref string, img v1.Image) {
	t.Helper()
	r, err := name.ParseReference(s.Host() + "/" + ref)
	if err == nil {
		err = remote.Write(r, img)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func pack(t testing.TB, l Layer) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range l {
		e.Size = int64(len(e.Text))
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.Text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
