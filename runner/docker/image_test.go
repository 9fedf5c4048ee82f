package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"

	"github.com/wherry-ml/wherry/runner"
)

// testRegistry serves one image, to who has the password. It answers with all that
// a pull asks for, and no more.
type testRegistry struct {
	*httptest.Server
	pulls atomic.Int32
	blobs map[string][]byte
	media map[string]string
}

func newRegistry(t *testing.T, arch, unique string) *testRegistry {
	r := &testRegistry{blobs: map[string][]byte{}, media: map[string]string{}}
	var plain, packed bytes.Buffer
	tw := tar.NewWriter(&plain)
	if err := errors.Join(writeBytes(tw, "hello", []byte(unique)), tw.Close()); err != nil {
		t.Fatal(err)
	}
	zw := gzip.NewWriter(&packed)
	zw.Write(plain.Bytes())
	zw.Close()
	layer := r.add("application/vnd.docker.image.rootfs.diff.tar.gzip", packed.Bytes())
	config := r.add("application/vnd.docker.container.image.v1+json", fmt.Appendf(nil,
		`{"architecture":%q,"os":"linux","config":{"Entrypoint":["/hello"],"Cmd":["a"]},"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`,
		arch, sha256.Sum256(plain.Bytes())))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":%s,"layers":[%s]}`, config, layer)
	r.blobs["1"], r.media["1"] = manifest, "application/vnd.docker.distribution.manifest.v2+json"
	r.add(r.media["1"], manifest)
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// add keeps a blob and returns its descriptor.
func (r *testRegistry) add(media string, data []byte) []byte {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	r.blobs[digest], r.media[digest] = data, media
	return fmt.Appendf(nil, `{"mediaType":%q,"size":%d,"digest":%q}`, media, len(data), digest)
}

func (r *testRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if user, pass, _ := req.BasicAuth(); user != "me" || pass != "secret:word" {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	ref := filepath.Base(req.URL.Path)
	data, ok := r.blobs[ref]
	switch {
	case req.URL.Path == "/v2/":
		return
	case !ok:
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such image"}]}`, http.StatusNotFound)
		return
	case ref == "1":
		r.pulls.Add(1)
	}
	w.Header().Set("Content-Type", r.media[ref])
	w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.Write(data)
}

// withConfig returns a backend with a Docker configuration of its own.
func withConfig(t *testing.T, conf map[string]any) *Backend {
	dir := t.TempDir()
	data, err := json.Marshal(conf)
	if err == nil {
		err = os.WriteFile(dir+"/config.json", data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := New(Config{Home: homeOf(dir), Dir: dir, LookupEnv: func(k string) string {
		if k == "DOCKER_CONFIG" {
			return dir
		}
		return os.Getenv(k)
	}})
	t.Cleanup(func() { b.Close() })
	return b
}

func removeImage(t *testing.T, b *Backend, ref string) {
	t.Cleanup(func() {
		e, err := b.connect.engine(context.Background())
		if err == nil {
			_, err = e.ImageRemove(context.Background(), ref, image.RemoveOptions{Force: true})
		}
		if err != nil && !isNotFound(err) {
			t.Error(err)
		}
	})
}

func TestPull(t *testing.T) {
	r := newRegistry(t, "arm64", t.TempDir())
	host := strings.TrimPrefix(r.URL, "http://")
	b := withConfig(t, map[string]any{"auths": map[string]any{
		host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("me:secret:word"))}}})
	ref := host + "/team/thing:1"
	if _, err := b.Resolve(t.Context(), ref, runner.ResolveOptions{Policy: runner.PullNever}); err == nil {
		t.Error("policy Never: it is not there")
	}
	removeImage(t, b, ref)
	var progress []runner.Progress
	im, err := b.Resolve(t.Context(), ref, runner.ResolveOptions{Progress: func(p runner.Progress) { progress = append(progress, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if im.Name != ref || !strings.HasPrefix(im.Ref, "sha256:") || im.Identity != im.Ref+" linux/arm64" || im.Platform != "linux/arm64" ||
		!im.Emulated || im.Entrypoint[0] != "/hello" || im.Cmd[0] != "a" || len(progress) == 0 {
		t.Errorf("%+v, progress %v", im, progress)
	}
	for want, o := range map[int32]runner.ResolveOptions{1: {}, 2: {Policy: runner.PullAlways}} {
		before := r.pulls.Load()
		if _, err := b.Resolve(t.Context(), ref, o); err != nil || r.pulls.Load() < before || want == 1 && r.pulls.Load() != before {
			t.Errorf("%+v: %v, pulled %d times", o, err, r.pulls.Load()-before)
		}
	}
	stranger := withConfig(t, nil)
	for _, ref := range []string{ref, host + "/team/other:1"} {
		_, err := stranger.Resolve(t.Context(), ref, runner.ResolveOptions{Policy: runner.PullAlways})
		if e, ok := errors.AsType[*runner.ImageError](err); !ok || e.Hint() == "" {
			t.Errorf("%s without a password: %v", ref, err)
		}
	}
}

func TestCredentialHelper(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nread server; [ \"$server\" = known.example ] || { echo 'credentials not found in native keychain'; exit 1; }\necho '{\"Username\":\"me\",\"Secret\":\"word\"}'\n"
	if err := os.WriteFile(dir+"/docker-credential-test", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c := &dockerConfig{CredHelpers: map[string]string{"known.example": "test", "other.example": "test"}, CredsStore: "none-such",
		Auths: map[string]authEntry{"other.example": {Username: "file"}}}
	for image, want := range map[string]string{"known.example/a": "me", "other.example/b:1": "file"} {
		enc, err := c.auth(image)
		data, _ := base64.URLEncoding.DecodeString(enc)
		if err != nil || !strings.Contains(string(data), fmt.Sprintf("%q", want)) {
			t.Errorf("%s: %s, %v", image, data, err)
		}
	}
	if _, err := c.auth("third.example/c"); err == nil {
		t.Error("a helper that is not there is no error")
	}
	if enc, err := (&dockerConfig{}).auth("python:3.11"); enc != "" || err != nil {
		t.Errorf("%q, %v", enc, err)
	}
}

// TestSilentRegistry has a registry that takes the call and says nothing.
func TestSilentRegistry(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b := withConfig(t, nil)
	b.silence = silence{say: 50 * time.Millisecond, giveUp: 300 * time.Millisecond}
	var mu sync.Mutex
	var said []string
	_, err = b.Resolve(t.Context(), ln.Addr().String()+"/thing:1", runner.ResolveOptions{Progress: func(p runner.Progress) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, p.Status)
	}})
	mu.Lock()
	defer mu.Unlock()
	if _, ok := errors.AsType[*runner.ImageError](err); !ok || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(strings.Join(said, "\n"), "waiting for "+ln.Addr().String()) {
		t.Errorf("it said %q", said)
	}
}

func TestResolveNames(t *testing.T) {
	b := withConfig(t, nil)
	for ref, hint := range map[string]string{"UPPER/case": "small letters", "sha256:" + strings.Repeat("1", 64): "docker load"} {
		_, err := b.Resolve(t.Context(), ref, runner.ResolveOptions{})
		if e, ok := errors.AsType[*runner.ImageError](err); !ok || !strings.Contains(e.Hint(), hint) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	im, err := b.Resolve(t.Context(), testImage, runner.ResolveOptions{Policy: runner.PullNever})
	if err != nil || im.Emulated {
		t.Errorf("%+v, %v", im, err)
	}
	if _, err := b.Resolve(t.Context(), testImage, runner.ResolveOptions{Platform: "linux/s390x", Policy: runner.PullNever}); err == nil {
		t.Error("it has no such platform")
	}
}

func buildSpec(t *testing.T, b *Backend, spec runner.BuildSpec) runner.BuildSpec {
	spec.Name = "wherry-test/" + b.cfg.Home + ":1"
	spec.Derivation = "sha256:test-" + b.cfg.Home
	removeImage(t, b, spec.Name)
	return spec
}

func TestBuildContext(t *testing.T) {
	b := withConfig(t, map[string]any{"proxies": map[string]any{"default": map[string]string{"httpProxy": "http://proxy.example:1"}}})
	dir := t.TempDir()
	for name, content := range map[string]string{
		"sub/Dockerfile": "FROM " + testImage + " AS one\nCOPY . /src/\nRUN cat $SSL_CERT_FILE; find /src -type f | sort; echo proxy $http_proxy\nENV X=1\n",
		".dockerignore":  "secret*\n!secret-not\nbig\n", "secret": "s", "secret-not": "n", "big/a": "a", "main.py": dir,
		"ca.pem": "our CA\n",
	} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spec := buildSpec(t, b, runner.BuildSpec{Context: dir, Dockerfile: "sub/Dockerfile", CABundle: dir + "/ca.pem"})
	var wg sync.WaitGroup
	var builds atomic.Int32
	var mu sync.Mutex
	all := ""
	for range 3 { // as three processes would, of which one builds
		wg.Go(func() {
			im, err := b.Build(t.Context(), spec, func(line string) {
				if strings.HasPrefix(line, "Successfully built") {
					builds.Add(1)
				}
				mu.Lock()
				defer mu.Unlock()
				all += line + "\n"
			})
			if err != nil || im.Identity != spec.Derivation+" linux/amd64" || im.Name != spec.Name {
				t.Errorf("%+v, %v", im, err)
			}
		})
	}
	wg.Wait()
	if builds.Load() != 1 || !strings.Contains(all, "our CA\n/src/.dockerignore\n") || !strings.Contains(all, "/src/main.py\n/src/secret-not\n/src/sub/Dockerfile\nproxy http://proxy.example:1") ||
		strings.Contains(all, "/src/big") || strings.Contains(all, "/src/secret\n") {
		t.Errorf("%d builds:\n%s", builds.Load(), all)
	}
	im, err := b.Resolve(t.Context(), spec.Name, runner.ResolveOptions{})
	if err != nil || !strings.HasPrefix(im.Identity, spec.Derivation) {
		t.Errorf("%+v, %v", im, err)
	}
}

func TestBuildFails(t *testing.T) {
	b := withConfig(t, nil)
	dir := t.TempDir()
	spec := buildSpec(t, b, runner.BuildSpec{Context: dir})
	if _, err := b.Build(t.Context(), spec, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a context without a Dockerfile: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	os.WriteFile(dir+"/Dockerfile", []byte("FROM "+testImage+"\nRUN sleep 60\n"), 0o644)
	if _, err := b.Build(ctx, spec, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a build that is cancelled: %v", err)
	}
}

// TestBuildx builds through a docker command with buildx, which is played by its
// classic builder: what is seen is how it is called and read.
func TestBuildx(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := `#!/bin/bash
[ "$1" = buildx ] || exit 9
[ "$2" != version ] || exit 0
shift 2
args=()
while [ $# -gt 0 ]; do
	case "$1" in
	--load) shift ;;
	--progress) shift 2 ;;
	*) args+=("$1"); shift ;;
	esac
done
DOCKER_BUILDKIT=0 exec ` + docker + ` build --force-rm "${args[@]}"
`
	if err := os.WriteFile(dir+"/docker", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := withConfig(t, nil)
	context := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(context+"/Dockerfile", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("FROM " + testImage + "\nENV X=1\n")
	spec := buildSpec(t, b, runner.BuildSpec{Context: context})
	var lines []string
	im, err := b.Build(t.Context(), spec, func(s string) { lines = append(lines, s) })
	if err != nil || im.Identity != spec.Derivation+" "+im.Platform || len(lines) == 0 {
		t.Errorf("%+v, %v, %q", im, err, lines)
	}
	write("FROM " + testImage + "\nRUN no-such-command\n")
	spec.Derivation += "-bad"
	if _, err := b.Build(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), "no-such-command: not found") {
		t.Errorf("%v", err)
	}
}
