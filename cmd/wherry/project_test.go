package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag/source"
)

// projectDir writes files in a new folder and returns it.
func projectDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const testPEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

func TestProject(t *testing.T) {
	dir := projectDir(t, map[string]string{
		"wherry.yaml": `
images:
  tensorflow/tensorflow:2.13.0: tf
  tf: sklearn
  python:3.9: mirror.local/python:3.9
build:
  sklearn: {base: python:3.11, requirements: [pandas==2.2.3, scikit-learn==1.5.2]}
  listed: {base: python:3.11, requirements: requirements.txt}
  own: {context: image, dockerfile: Containerfile}
mounts:
  - ./app:/app:ro
  - data:/data/
env: {TOKENS: 4, NAME: a b}
params: {epochs: 3, names: [a, b]}
trust: ca.pem
`,
		"requirements.txt":    "# ours\npandas==2.2.3  # tables\n\nnumpy \\\n  >=2\n",
		"image/Containerfile": "FROM scratch\n",
		"app/x.py":            "",
		"data/x":              "",
		"ca.pem":              testPEM,
		"deep/er/flow.yaml":   "",
	})
	p, err := findProject(filepath.Join(dir, "deep", "er"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mount{{filepath.Join(dir, "app"), "/app", true, false}, {filepath.Join(dir, "data"), "/data", false, false}}, p.Mounts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"epochs": int64(3), "names": []any{"a", "b"}}, p.Params); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"TOKENS": "4", "NAME": "a b"}, p.Env); diff != "" {
		t.Error(diff)
	}
	if p.Trust != filepath.Join(dir, "ca.pem") || p.File != filepath.Join(dir, "wherry.yaml") {
		t.Errorf("trust %q, file %q", p.Trust, p.File)
	}
	if diff := cmp.Diff([]string{"pandas==2.2.3", "numpy    >=2"}, p.Build["listed"].Requirements.List); diff != "" {
		t.Error(diff)
	}
	if got := p.Build["own"].Context; got != filepath.Join(dir, "image") {
		t.Errorf("context %q", got)
	}
	for name, want := range map[string]string{
		"tensorflow/tensorflow:2.13.0": "sklearn (built)",
		"sklearn":                      "sklearn (built)",
		"python:3.9":                   "mirror.local/python:3.9",
		"busybox":                      "busybox",
	} {
		got, build := p.image(name)
		if build != nil {
			got += " (built)"
		}
		if got != want {
			t.Errorf("image %q is %q, want %q", name, got, want)
		}
	}
}

func TestProjectNone(t *testing.T) {
	p, err := findProject(t.TempDir())
	if err != nil || p.File != "" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if name, build := p.image("busybox"); name != "busybox" || build != nil {
		t.Errorf("image %q %v", name, build)
	}
	for _, text := range []string{"", "# only this\n", "---\n"} {
		if _, err := findProject(projectDir(t, map[string]string{"wherry.yaml": text})); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestProjectErrors(t *testing.T) {
	for _, c := range []struct{ name, text, at, msg, mend string }{
		{"unknown", "image: {a: b}", "1:1", `unknown field "image"`, `"images"`},
		{"later", "env: {A: b}\nschedules: {}", "2:1", `"schedules" is not supported yet`, "take it out"},
		{"unknown in build", "build:\n  a: {bas: x}", "2:7", `unknown field "bas"`, `"base"`},
		{"no base", "build: {a: {}}", "1:12", "needs a base", ""},
		{"base and context", "build: {a: {base: x, context: .}}", "1:12", "has a context", ""},
		{"no Dockerfile", "build: {a: {context: .}}", "1:12", "no Dockerfile", ""},
		{"Dockerfile elsewhere", "build: {a: {context: ., dockerfile: ../D}}", "1:12", "in the context", ""},
		{"no requirements", "build: {a: {base: x, requirements: r.txt}}", "1:36", "no such file", "list"},
		{"option", "build: {a: {base: x, requirements: opt.txt}}", "1:36", "-r other.txt", ""},
		{"odd requirement", "build: {a: {base: x, requirements: [--index-url=x]}}", "1:36", "is not a requirement", ""},
		{"missing source", "mounts:\n  - ./ap:/app", "2:5", "no such file", "exists"},
		{"two mounts", "mounts: [.:/a, .:/a/]", "1:16", "two at /a", ""},
		{"mount is a mapping", "mounts: [{source: .}]", "1:10", "a mount is text", ""},
		{"live without ro", "mounts: ['.:/a:live']", "1:10", "live goes with ro", "write :ro,live"},
		{"watch is text", "watch: a.yaml", "1:8", "must be a list", ""},
		{"unknown in watch", "watch: [a.yaml, {file: b.yaml, param: {}}]", "1:32", `unknown field "param"`, `"params"`},
		{"watch without a file", "watch: [{params: {}}]", "1:9", "needs the file", "file: pipeline.yaml"},
		{"watch of nothing", "watch: [~]", "1:9", "needs the file", ""},
		{"watched twice", "watch: [a.yaml, ./a.yaml]", "1:17", "a.yaml is named twice", "name: other"},
		{"backend", "watch: [{file: a.yaml, backend: doker}]", "1:33", `unknown backend "doker"`, "docker or process"},
		{"network", "watch: [{file: a.yaml, network: off}]", "1:33", `unknown network mode "off"`, "none"},
		{"parallel", "watch: [{file: a.yaml, maxParallel: -1}]", "1:37", "must be 0 or more", ""},
		{"name", "watch: [{file: a.yaml, name: a/b}]", "1:30", `name "a/b" has a slash`, ""},
		{"both caches", "watch: [{file: a.yaml, cache: true, noCache: true}]", "1:46", "exclude each other", ""},
		{"pipeline of no .py", "watch: [{file: a.yaml, pipeline: p}]", "1:9", "chooses from a .py file", ""},
		{"mount in watch", "watch: [{file: a.yaml, mounts: [{}]}]", "1:33", "a mount is text", ""},
		{"circle", "images: {a: b, b: a}", "1:9", `"a" stands for itself`, ""},
		{"trust", "trust: opt.txt", "1:8", "no certificate", ""},
		{"no trust", "trust: none.pem", "1:8", "no such file", ""},
		{"trust is a list", "trust: [a]", "1:8", "PEM", ""},
		{"list", "[a]", "1:1", "must be a mapping", ""},
		{"two documents", "env: {}\n---\nenv: {}", "3:1", "second document", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := projectDir(t, map[string]string{"wherry.yaml": c.text, "opt.txt": "-r other.txt\n"})
			_, err := findProject(dir)
			e, ok := errors.AsType[*source.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), "wherry.yaml:"+c.at+": ") || !strings.Contains(e.Msg, c.msg) || !strings.Contains(e.Mend, c.mend) {
				t.Errorf("got %v, advice %q", e, e.Mend)
			}
		})
	}
}

func TestProjectMount(t *testing.T) {
	dir := projectDir(t, map[string]string{"app/x": ""})
	home := projectDir(t, map[string]string{"src/x": ""})
	t.Setenv("HOME", home)
	for _, c := range []struct {
		text string
		want mount
		err  string
	}{
		{text: "app:/app", want: mount{filepath.Join(dir, "app"), "/app", false, false}},
		{text: "./app/x:/etc/x:rw", want: mount{filepath.Join(dir, "app/x"), "/etc/x", false, false}},
		{text: filepath.Join(dir, "app") + ":/a/../b/:ro", want: mount{filepath.Join(dir, "app"), "/b", true, false}},
		{text: "~/src:/src:ro", want: mount{filepath.Join(home, "src"), "/src", true, false}},
		{text: "app", err: "is not SOURCE:TARGET"},
		{text: "a:b:c:d", err: "is not SOURCE:TARGET"},
		{text: "app:app", err: "not an absolute path"},
		{text: "app:/", err: "not an absolute path"},
		{text: "app:/app:or", err: `unknown option "or"`},
		{text: "app:/app:ro,live", want: mount{filepath.Join(dir, "app"), "/app", true, true}},
		{text: "app:/app:live,ro", want: mount{filepath.Join(dir, "app"), "/app", true, true}},
		{text: "app:/app:live", err: "live goes with ro"},
		{text: "nowhere:/app", err: "no such file"},
	} {
		got, err := parseMount(dir, c.text)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: got error %v, want %q", c.text, err, c.err)
		}
		if got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.text, got, c.want)
		}
	}
}

// TestProjectSchema keeps the schema and the structs together.
func TestProjectSchema(t *testing.T) {
	type object struct {
		Properties map[string]struct {
			Additional json.RawMessage `json:"additionalProperties"`
			Items      json.RawMessage `json:"items"`
		} `json:"properties"`
	}
	var schema, build, watch object
	if err := json.Unmarshal([]byte(projectSchema), &schema); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(schema.Properties["build"].Additional, &build); err != nil {
		t.Fatal(err)
	}
	var items struct {
		OneOf []json.RawMessage `json:"oneOf"`
	}
	if err := json.Unmarshal(schema.Properties["watch"].Items, &items); err != nil || len(items.OneOf) != 2 {
		t.Fatal(err)
	}
	if err := json.Unmarshal(items.OneOf[1], &watch); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		object object
		of     any
	}{{schema, project{}}, {build, buildSpec{}}, {watch, watchEntry{}}} {
		var fields, known []string
		for i := range reflect.TypeOf(c.of).NumField() {
			if tag := reflect.TypeOf(c.of).Field(i).Tag.Get("yaml"); tag != "" && tag != "-" && !strings.HasPrefix(tag, ",") {
				fields = append(fields, tag)
			}
		}
		for name := range c.object.Properties {
			known = append(known, name)
		}
		slices.Sort(fields)
		slices.Sort(known)
		if diff := cmp.Diff(fields, known); diff != "" {
			t.Errorf("%T (-struct +schema):\n%s", c.of, diff)
		}
	}
}

// TestProjectExample reads the one that people start from.
func TestProjectExample(t *testing.T) {
	p, err := findProject("../../examples/workflow")
	if err != nil {
		t.Fatal(err)
	}
	if name, build := p.image("python:3.9-slim"); name != "sklearn" || build == nil || build.Base != "python:3.11" {
		t.Errorf("python:3.9-slim is %q %+v", name, build)
	}
}
