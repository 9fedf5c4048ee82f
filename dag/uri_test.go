package dag

import (
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

func TestArtifactPath(t *testing.T) {
	for _, tt := range []struct{ uri, path, docker, host string }{
		{"gs://b/a/x.csv", "/gcs/b/a/x.csv", "/gcs/b/a/x.csv", "/h/imports/gcs/b/a/x.csv"},
		{"s3://b/a/x.csv", "/s3/b/a/x.csv", "/s3/b/a/x.csv", "/h/imports/s3/b/a/x.csv"},
		{"s3://b/dir/", "/s3/b/dir/", "/s3/b/dir/", "/h/imports/s3/b/dir"},
		{"minio://b/x", "/minio/b/x", "/minio/b/x", "/h/imports/minio/b/x"},
		{"oci://r.io:5000/org/car:v1", "/oci/r.io:5000_org_car:v1/models", "/oci/r.io:5000_org_car:v1/models", "/h/imports/oci/r.io:5000_org_car:v1/models"},
		{"https://h/x.csv?a=b", "https://h/x.csv?a=b", "/app/https:/h/x.csv?a=b", "/h/imports/https/h/x.csv?a=b"},
		{"/home/u/x.csv", "/home/u/x.csv", "/home/u/x.csv", "/home/u/x.csv"},
	} {
		if got := artifactPath(tt.uri); got != tt.path {
			t.Errorf("%s is at %s, want %s", tt.uri, got, tt.path)
		}
		r := trainRender()
		r.node.image = []resolved{{Image: runner.Image{WorkDir: "/app"}}}
		a := Artifact{URI: tt.uri, Digest: "sha256:aa"}
		if got := r.inputPath(a); got != tt.docker {
			t.Errorf("in a container %s is at %s, want %s", tt.uri, got, tt.docker)
		}
		if got := r.asPaths([]Artifact{a})[0].URI; got != tt.uri {
			t.Errorf("a container is given %s for %s", got, tt.uri)
		}
		r.run.Options.Imports = "/h/imports"
		if got := r.inputPath(a); got != tt.host {
			t.Errorf("on the host %s is at %s, want %s", tt.uri, got, tt.host)
		}
		if got := r.asPaths([]Artifact{a})[0].URI; got != tt.host {
			t.Errorf("a host process is given %s for %s", got, tt.uri)
		}
	}
}

func TestWorkDir(t *testing.T) {
	r := trainRender()
	a := Artifact{URI: "https://h/x", Digest: "sha256:aa"}
	if got := r.inputPath(a); got != "/https:/h/x" {
		t.Error(got)
	}
	r.node.comp.Pod.Containers[0].WorkDir = "/own"
	r.node.image = []resolved{{Image: runner.Image{WorkDir: "/app"}}}
	if got := r.inputPath(a); got != "/own/https:/h/x" {
		t.Error(got)
	}
	if got := r.inputPath(Artifact{URI: "wherry-test://x/y"}); got != "wherry-test://x/y" {
		t.Errorf("what was never fetched is at %s", got)
	}
}

func TestURIsThatMakeNoPath(t *testing.T) {
	for uri, want := range map[string]string{
		"https://h/" + strings.Repeat("x", 256): `input artifact "table": its URI has a part of 256 bytes`,
		"https://h/../../etc/passwd":            `input artifact "table": its URI has the part ".."`,
		"https://h/" + strings.Repeat("x", 255): "",
		"https://h/a..b/..c":                    "",
	} {
		r := trainRender()
		r.node.exec.Inputs.Artifacts = map[string][]Artifact{"table": {{URI: uri, Digest: "sha256:aa"}}}
		if _, err := r.inputMounts(); !strings.HasPrefix(errorText(err), want) || want == "" && err != nil {
			t.Errorf("%.40s: %v, want %s", uri, err, want)
		}
	}
}
