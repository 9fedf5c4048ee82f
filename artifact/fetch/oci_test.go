package fetch_test

import (
	"archive/tar"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact/fetch/fetchtest"
)

func TestOCI(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := fetchtest.Registry(t)
	file := fetchtest.File
	entry := func(kind byte, name, to string) fetchtest.Entry {
		return fetchtest.Entry{Header: tar.Header{Typeflag: kind, Name: name, Linkname: to, Mode: 0o755}}
	}
	tool := file("models/bin/tool", "run")
	tool.Mode = 0o755
	fetchtest.Push(t, s, "org/car:v1",
		fetchtest.Layer{file("etc/passwd", "root"), file("models/old", "old"), file("models/config.json", "{}"), file("./models/deep/er/x", "x"), file("modelsx/no", "no")},
		fetchtest.Layer{entry(tar.TypeLink, "models/again", "models/weights"), file("models/weights", "weights"), file("models/.wh.old", ""), tool,
			entry(tar.TypeSymlink, "models/latest", "weights"), entry(tar.TypeChar, "models/null", "")},
	)
	at := "oci://" + s.Host() + "/"
	check(t, at+"org/car:v1", map[string]string{
		"config.json": "{}", "deep/er/x": "x", "weights": "weights", "again": "weights", "bin/tool": "run (x)", "latest": "-> weights",
	}, "")

	fetchtest.Push(t, s, "org/other", fetchtest.Layer{file("opt/model", "x")})
	check(t, at+"org/other", nil, "the image has nothing in /models; try: build it with the model's files in /models")
	fetchtest.Push(t, s, "org/link", fetchtest.Layer{entry(tar.TypeSymlink, "models", "/etc")})
	check(t, at+"org/link", nil, "/models in it is not a folder")
	fetchtest.Push(t, s, "org/hard", fetchtest.Layer{file("etc/passwd", "root"), entry(tar.TypeLink, "models/passwd", "etc/passwd")})
	check(t, at+"org/hard", nil, `"models/passwd" in it is the same file as "etc/passwd" outside of /models`)

	fetchtest.PushFiles(t, s, "org/files:v1", map[string]string{"model.onnx": "onnx", "sub/labels.txt": "labels"})
	check(t, at+"org/files:v1", map[string]string{"model.onnx": "onnx", "sub/labels.txt": "labels"}, "")
	fetchtest.PushFiles(t, s, "org/evil:v1", map[string]string{"../evil": "x"})
	check(t, at+"org/evil:v1", nil, `"../evil" can't be the name of a file below it`)

	check(t, at+"org/none:v1", nil, "import "+at+"org/none:v1: it is not there (404 Not Found: NAME_UNKNOWN); try: check the repository and the tag")
	check(t, at+"org/car:v2", nil, "it is not there (404 Not Found: MANIFEST_UNKNOWN)")
	check(t, at+"UPPER", nil, "it is no image reference")
	s.Stop()
	check(t, at+"org/car:v1", nil, "nothing answers at "+s.Host()+": connection refused; try: check that the registry")
}

func TestOCIDenied(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	check(t, "oci://"+host+"/a", nil, "access denied (401 Unauthorized); try: docker login "+host)
}
