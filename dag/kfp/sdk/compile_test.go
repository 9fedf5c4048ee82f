package sdk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/e2e/need"
)

const two = `from kfp import dsl

@dsl.component
def add(a: int, b: int = 2) -> int:
    return a + b

@dsl.pipeline(name="first-one")
def first(a: int = 1):
    add(a=a)

@dsl.pipeline
def second(a: int = 1):
    add(a=a, b=3)
`

// one is a pipeline of one step, made of these lines more.
func one(lines ...string) string {
	return "from kfp import dsl\n@dsl.component\ndef add(a: int) -> int:\n    return a\n@dsl.pipeline\ndef flow():\n    add(a=1)\n" + strings.Join(lines, "\n") + "\n"
}

func TestCompile(t *testing.T) {
	env := testEnv(t)
	container := "from kfp import dsl\n@dsl.container_component\ndef hello(who: str):\n    return dsl.ContainerSpec(image='alpine', command=['echo', who])\n"
	for _, tt := range []struct {
		name                string
		files               map[string]string
		file                string
		pipeline, component string
		want                string // the function
		has                 string // in the compiled text
	}{
		{name: "one pipeline", files: map[string]string{"f.py": one()}, want: "flow", has: "name: flow"},
		{name: "by function", files: map[string]string{"f.py": two}, pipeline: "second", want: "second", has: "name: second"},
		{name: "by name", files: map[string]string{"f.py": two}, pipeline: "first-one", want: "first", has: "name: first-one"},
		{name: "a component of many", files: map[string]string{"f.py": two}, component: "add", want: "add", has: "NUMBER_INTEGER"},
		{name: "only a component", files: map[string]string{"f.py": strings.Split(two, "@dsl.pipeline")[0]}, want: "add", has: "exec-add"},
		{name: "a container component", files: map[string]string{"f.py": container}, want: "hello", has: "image: alpine"},
		{name: "an alias is no second one", files: map[string]string{"f.py": one("pipeline = flow")}, want: "flow"},
		{name: "its own before those imported", files: map[string]string{"f.py": one("from lib import first, second"), "lib.py": two}, want: "flow"},
		{name: "one that is imported", files: map[string]string{"f.py": "from lib import flow\n", "lib.py": one()}, want: "flow"},
		{name: "main is not run", files: map[string]string{"f.py": one("if __name__ == '__main__':", "    raise SystemExit('ran')")}, want: "flow"},
		{name: "part of a package", files: map[string]string{"pkg/__init__.py": "", "pkg/lib.py": two, "pkg/f.py": "from .lib import first\n"}, file: "pkg/f.py", want: "first"},
		{name: "a name that is no identifier", files: map[string]string{"my flow-1.py": one()}, file: "my flow-1.py", want: "flow"},
		{name: "the name of a module", files: map[string]string{"json.py": one()}, file: "json.py", want: "flow"},
		{name: "a dataclass", files: map[string]string{"f.py": one("import dataclasses", "@dataclasses.dataclass", "class C:", "    x: 'int' = 1")}, want: "flow"},
		{name: "a thread that stays", files: map[string]string{"f.py": one("import threading, time", "threading.Thread(target=time.sleep, args=(600,)).start()")}, want: "flow"},
		{name: "a default with a line break", files: map[string]string{"f.py": strings.Replace(two, "a: int = 1):\n    add(a=a)", `a: int = 1, text: str = "x\n  y: z"):`+"\n    add(a=a)", 1)}, pipeline: "first", want: "first", has: "y: z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tt.files)
			o, _ := options(t, filepath.Join(dir, cmpOr(tt.file, "f.py")), env)
			o.Pipeline, o.Component = tt.pipeline, tt.component
			c, err := Compile(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if c.Name != tt.want || c.Component != (tt.want == "add" || tt.want == "hello") || c.KFP != Version || !strings.Contains(c.With, env) {
				t.Errorf("got %+v, want %s", c, tt.want)
			}
			if !strings.Contains(string(c.Text), tt.has) || yaml.Unmarshal(c.Text, &struct{}{}) != nil {
				t.Errorf("compiled to\n%s\nwithout %q", c.Text, tt.has)
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestCompileLeavesNothing asserts that reading a file neither writes nor runs a step.
func TestCompileLeavesNothing(t *testing.T) {
	dir := write(t, map[string]string{
		"lib.py": "x = 1\n",
		"f.py": one("import lib", "import os", "from kfp import compiler, local", "print('to', os.getcwd())", "print('err', file=__import__('sys').stderr)",
			"compiler.Compiler().compile(flow, 'flow.yaml')", "compiler.Compiler().compile(pipeline_func=add, package_path=os.path.join(os.path.dirname(__file__), 'add.yaml'))",
			"local.init(runner=local.SubprocessRunner())"),
	})
	before := tree(t, dir)
	t.Chdir(dir)
	o, s := options(t, "f.py", testEnv(t))
	if _, err := Compile(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); !slices.Equal(got, before) {
		t.Errorf("left %v, there was %v", got, before)
	}
	if got := s.stderr.String(); got != "to "+dir+"\nerr\n" {
		t.Errorf("stderr %q, want what the file prints, in the person's folder, and no more", got)
	}
	if len(s.notes) > 0 {
		t.Errorf("notes %q", s.notes)
	}
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestCompileCanceled(t *testing.T) {
	dir := write(t, map[string]string{"f.py": "import subprocess\nsubprocess.run(['sleep', '600'])\n"})
	o, _ := options(t, filepath.Join(dir, "f.py"), testEnv(t))
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Compile(ctx, o)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s, want the deadline's error at once", err, time.Since(start))
	}
}

// TestCompileOwn compiles the pipelines of the shared data to what lies beside them.
func TestCompileOwn(t *testing.T) {
	dir, env := need.Shared(t, "kfp/own"), testEnv(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.py"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".py")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := documents(t, read(t, strings.TrimSuffix(file, ".py")+".yaml"))
			o, _ := options(t, file, env)
			c, err := Compile(t.Context(), o)
			if c == nil && err != nil && strings.Contains(err.Error(), "pipelines: ") {
				o.Pipeline = want[0]["pipelineInfo"].(map[string]any)["name"].(string) // a file with several
				c, err = Compile(t.Context(), o)
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, documents(t, c.Text)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func documents(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var docs []map[string]any
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var doc map[string]any
		if err := dec.Decode(&doc); err != nil {
			return docs
		}
		docs = append(docs, doc)
	}
}
