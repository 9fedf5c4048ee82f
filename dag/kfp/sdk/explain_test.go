package sdk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/e2e/need"
)

func TestErrors(t *testing.T) {
	env := testEnv(t)
	steps := "from kfp import dsl\nfrom kfp.dsl import Input, Output, Model\n@dsl.component\ndef make(m: Output[Model]) -> str:\n    return ''\n@dsl.component\ndef use(m: Input[Model], n: int = 1):\n    pass\n@dsl.pipeline\ndef flow(s: str = ''):\n"
	for _, tt := range []struct {
		name, text          string
		pipeline, component string
		place, msg, mend    string
	}{
		{name: "syntax", text: "x = 1\ndef f(:\n", place: "f.py:2", msg: "invalid syntax", mend: "correct the line (it was read by Python 3"},
		{name: "indentation", text: "x = 1\n  y = 2\n", place: "f.py:2", msg: "unexpected indent", mend: "correct the line"},
		{name: "missing modules", text: "import os\nimport sklearn.svm, nosuchmodule\n", place: "f.py:2:1",
			msg: `"sklearn" and "nosuchmodule" are not installed (No module named 'sklearn')`, mend: "bin/pip install scikit-learn nosuchmodule; or move the import into the component's function"},
		{name: "a guarded import is no error", text: "try:\n    import nosuchmodule\nexcept ImportError:\n    pass\n", place: "f.py", msg: "holds no pipeline and no component", mend: "@dsl.pipeline"},
		{name: "missing name", text: "from os import nosuchthing\n", place: "f.py:1:1", msg: "ImportError: cannot import name 'nosuchthing'", mend: "correct the import"},
		{name: "a missing module and a type", text: "import nosuchmodule\n" + steps + "    use(m=s)\n", place: "f.py:12:5", msg: "'STRING' is incompatible with the input type 'system.Model@0.0.1'",
			mend: `declare m: str in use (line 8); the file also imports "nosuchmodule", which the active virtualenv`},
		{name: "an artifact for a parameter", text: steps + "    use(m=make().outputs['m'],\n        n=make().outputs['m'])\n", place: "f.py:11:5", msg: "incompatible with the input type 'NUMBER_INTEGER'",
			mend: "declare n: Input[Model] in use (line 7) and open n.path there"},
		{name: "a parameter for an artifact", text: steps + "    use(m=make().outputs['Output'])\n", place: "f.py:11:5", msg: "'STRING' is incompatible", mend: "hand it an artifact"},
		{name: "two parameters", text: steps + "    use(m=make().outputs['m'], n=s)\n", place: "f.py:11:5", msg: "'STRING' is incompatible", mend: "declare n: str in use (line 7), or hand it a value of type int"},
		{name: "an argument is missing", text: steps + "    use(n=1)\n", place: "f.py:11:5", msg: "use() missing 1 required argument: m.", mend: "hand it m=…, or give it a default in use (line 7)"},
		{name: "an argument too many", text: steps + "    use(m=make().outputs['m'], nn=1)\n", place: "f.py:11:5", msg: `unexpected keyword argument "nn"`, mend: "did you mean n=…?"},
		{name: "without a name", text: steps + "    use(1)\n", place: "f.py:11:5", msg: "must be instantiated using keyword arguments", mend: "task(input=value)"},
		{name: "no such output", text: steps + "    use(m=make().outputs['x'])\n", place: "f.py:11:11", msg: "KeyError: 'x'"},
		{name: "no task", text: steps + "    pass\n", place: "f.py:9:2", msg: "Task is missing from pipeline.", mend: "call a component"},
		{name: "no type", text: "from kfp import dsl\n@dsl.component\ndef f(a: int,\n      b):\n    pass\n", place: "f.py:4:7", msg: "Missing type annotation for argument: b", mend: "b: str, or Input[Dataset]"},
		{name: "one's own exception", text: "def g():\n    return 1 / 0\nx = 'é'; g()\n", place: "f.py:2:12", msg: "ZeroDivisionError: division by zero"},
		{name: "below a library", text: "import json\nx = 'é'; json.loads('{')\n", place: "f.py:2:10", msg: "JSONDecodeError: Expecting property name"},
		{name: "a file that isn't there", text: "open('nosuch.yaml')\n", place: "f.py:1:1", msg: "No such file or directory: 'nosuch.yaml'", mend: "cd "},
		{name: "exit", text: "import sys\nsys.exit(3)\n", place: "f.py:2:1", msg: "ends the process while it is imported (SystemExit: 3)", mend: "__main__"},
		{name: "end", text: "import os\nos._exit(3)\n", place: "f.py", msg: "ended without a result (exit status 3)", mend: "import it yourself"},
		{name: "endless", text: "def f():\n    f()\nf()\n", place: "f.py:2:5", msg: "RecursionError: maximum recursion depth exceeded"},
		{name: "a step while reading", text: one("from kfp import local", "local.init(runner=local.SubprocessRunner())", "add(a=1)"), place: "f.py:10:1", msg: "Local environment not initialized", mend: "wherry starts no step while it reads"},
		{name: "nothing", text: "x = 1\n", place: "f.py", msg: "holds no pipeline and no component", mend: "@dsl.pipeline"},
		{name: "several", text: two, place: "f.py", msg: "holds 2 pipelines: first (line 7), second (line 11)", mend: "choose one: --pipeline first"},
		{name: "several components", text: strings.Split(steps, "@dsl.pipeline")[0], place: "f.py", msg: "holds no pipeline, and 2 components: make (line 3), use (line 6)", mend: "--component make"},
		{name: "another name", text: two, pipeline: "secnd", place: "f.py", msg: `holds no pipeline "secnd"`, mend: "did you mean --pipeline second?"},
		{name: "quite another name", text: two, component: "x", place: "f.py", msg: `holds no component "x"`, mend: "its components: add (line 3)"},
		{name: "no component at all", text: "x = 1\n", component: "x", place: "f.py", msg: "holds no pipeline and no component", mend: "@dsl.component"},
		{name: "the other kind", text: two, component: "first-one", place: "f.py", msg: `holds no component "first-one"`, mend: `"first-one" is a pipeline: --pipeline first`},
		{name: "empty", text: " \n", place: "f.py", msg: "is empty"},
		{name: "not text", text: "x = '\x00'\n", place: "f.py", msg: "is not text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"f.py": tt.text})
			o, _ := options(t, filepath.Join(dir, "f.py"), env)
			o.Pipeline, o.Component = tt.pipeline, tt.component
			_, err := Compile(t.Context(), o)
			wantError(t, err, dir, tt.place, tt.msg, tt.mend)
		})
	}
}

// TestErrorsElsewhere is about errors in another file than the one that was named.
func TestErrorsElsewhere(t *testing.T) {
	dir := write(t, map[string]string{
		"flows/f.py": "import lib.steps\n", "flows/lib/steps.py": "x = 1\ny = [\n",
		"flows/g.py": "import helpers\n", "helpers.py": "", "flows/h.py": "import lib.late\n", "flows/lib/late.py": "\n1 / 0\n",
	})
	env := testEnv(t)
	for _, tt := range []struct{ file, place, msg, mend string }{
		{"f.py", "flows/lib/steps.py:2:5", "'[' was never closed", "correct the line"},
		{"g.py", "flows/g.py:1:1", `"helpers" is not installed`, "PYTHONPATH=" + dir + " wherry run "},
		{"h.py", "flows/lib/late.py:2:1", "ZeroDivisionError", ""},
	} {
		o, _ := options(t, filepath.Join(dir, "flows", tt.file), env)
		_, err := Compile(t.Context(), o)
		wantError(t, err, dir, tt.place, tt.msg, tt.mend)
	}
}

// TestArticle is about the article's three Python files, as they stand.
func TestArticle(t *testing.T) {
	seed, env := need.Shared(t, "conformance/seed"), testEnv(t)
	dir := t.TempDir()
	for _, name := range []string{"pipeline_parameters.py", "katib_training_component.py", "ecommerce_recommendation_pipeline.py"} {
		if err := os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(seed, name+".txt")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compile := func(file, component string) (*Compiled, error) {
		o, _ := options(t, filepath.Join(dir, file), env)
		o.Component = component
		return Compile(t.Context(), o)
	}
	_, err := compile("pipeline_parameters.py", "")
	wantError(t, err, dir, "pipeline_parameters.py", "holds no pipeline, and 2 components: preprocess_data (line 5), train_model (line 25)", "--component preprocess_data")
	for _, name := range []string{"preprocess_data", "train_model", "train-model"} {
		if c, err := compile("pipeline_parameters.py", name); err != nil || !c.Component || strings.ReplaceAll(name, "-", "_") != c.Name {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	_, err = compile("katib_training_component.py", "train_with_hyperparameters")
	wantError(t, err, dir, "katib_training_component.py:4:1", `"tensorflow" is not installed`, "bin/pip install tensorflow; or move the import into the component's function")
	_, err = compile("ecommerce_recommendation_pipeline.py", "")
	wantError(t, err, dir, "ecommerce_recommendation_pipeline.py:156:21",
		"Incompatible argument passed to the input 'features_path' of component 'model-training': Argument type 'system.Artifact@0.0.1' is incompatible with the input type 'STRING'",
		"declare features_path: Input[Artifact] in model_training (line 64) and open features_path.path there")
}
