package kfp

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/e2e/need"
)

// What the SDK writes, by version; see make_pip_install_command and
// _install_python_packages_script_template in kfp/dsl/component_factory.py.
const (
	ensurePip = "\nif ! [ -x \"$(command -v pip)\" ]; then\n    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\nfi\n\n"
	noCheck   = "PIP_DISABLE_PIP_VERSION_CHECK=1 "
	pipWords  = "python3 -m pip install --quiet --no-warn-script-location "
	inVenv    = "\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\ntmp=$(mktemp -d)\npython3 -m venv \"$tmp/venv\" --system-site-packages\n. \"$tmp/venv/bin/activate\"\n"
	typing    = `'typing-extensions>=3.7.4,<5; python_version<"3.9"'`
	thenRun   = " && \"$0\" \"$@\"\n"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

var typingWord = strings.Trim(typing, "'")

func readPreamble(script string) (preamble, bool) {
	return findPreamble([]text{{Value: "sh"}, {Value: "-c"}, {Value: script}, {Value: "sh"}})
}

func TestPreamble(t *testing.T) {
	kfp := []string{"kfp==2.17.0", "--no-deps", typingWord}
	for _, tt := range []struct {
		name, script string
		want         [][]string
		venv         bool
	}{
		{"kfp alone", ensurePip + noCheck + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + thenRun, [][]string{kfp}, false},
		{"packages first, from 2.14", ensurePip + noCheck + pipWords + "'six' 'pandas==2.2.3'  &&  " + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + thenRun,
			[][]string{{"six", "pandas==2.2.3"}, kfp}, false},
		{"kfp first, to 2.13", ensurePip + noCheck + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + "  &&  " + pipWords + "'minio'" + thenRun,
			[][]string{kfp, {"minio"}}, false},
		{"2.0: one install over two lines", ensurePip + "PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet     --no-warn-script-location 'six' 'kfp==2.0.1'" + thenRun,
			[][]string{{"six", "kfp==2.0.1"}}, false},
		{"a line that goes on", ensurePip + "PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet \\\n    --no-warn-script-location 'kfp==1.8.22'" + thenRun,
			[][]string{{"kfp==1.8.22"}}, false},
		{"no kfp", ensurePip + noCheck + pipWords + "'six'" + thenRun, [][]string{{"six"}}, false},
		{"indexes, to 2.8", ensurePip + noCheck + pipWords + "--index-url https://a.example/simple --trusted-host https://a.example/simple --extra-index-url http://b.example --trusted-host http://b.example 'x'" + thenRun,
			[][]string{{"--index-url", "https://a.example/simple", "--trusted-host", "https://a.example/simple", "--extra-index-url", "http://b.example", "--trusted-host", "http://b.example", "x"}}, false},
		{"trusted hosts, from 2.9", ensurePip + noCheck + pipWords + "--index-url https://a.example --extra-index-url https://b.example --trusted-host b.example:8080 'x'" + thenRun,
			[][]string{{"--index-url", "https://a.example", "--extra-index-url", "https://b.example", "--trusted-host", "b.example:8080", "x"}}, false},
		{"option with =", ensurePip + noCheck + pipWords + "--index-url=https://a.example 'x' '--pre'" + thenRun, [][]string{{"--index-url=https://a.example", "x", "--pre"}}, false},
		{"use_venv, to 2.13", ensurePip + noCheck + inVenv + " " + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + "  &&  " + pipWords + "'six'" + thenRun,
			[][]string{kfp, {"six"}}, true},
		{"use_venv, from 2.14", ensurePip + noCheck + pipWords + "'six'  &&  " + inVenv + " " + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + thenRun,
			[][]string{{"six"}, kfp}, true},
		{"version 1", "(PIP_DISABLE_PIP_VERSION_CHECK=1 " + pipWords + "'a==1' 'b' || PIP_DISABLE_PIP_VERSION_CHECK=1 " + pipWords + "'a==1' 'b' --user) && \"$0\" \"$@\"",
			[][]string{{"a==1", "b"}}, false},
		{"double quotes, as repr writes them", ensurePip + noCheck + pipWords + `"a!=2; python_version<'3.9'"` + thenRun, [][]string{{"a!=2; python_version<'3.9'"}}, false},
		{"a commit", ensurePip + noCheck + pipWords + "'git+https://h.example/r@" + commit + "#egg=kfp&subdirectory=sdk' '--no-deps'" + thenRun,
			[][]string{{"git+https://h.example/r@" + commit + "#egg=kfp&subdirectory=sdk", "--no-deps"}}, false},
		{"a commit of a name", ensurePip + noCheck + pipWords + `'x @ git+ssh://git@h.example/r@` + commit + `; python_version>"3"'` + thenRun,
			[][]string{{"x @ git+ssh://git@h.example/r@" + commit + `; python_version>"3"`}}, false},
		{"url of a wheel", ensurePip + noCheck + pipWords + "'torch @ https://h.example/torch-2.whl'" + thenRun, [][]string{{"torch @ https://h.example/torch-2.whl"}}, false},
		{"marker with a slash", ensurePip + noCheck + pipWords + `'a; sys_platform != "x/y"'` + thenRun, [][]string{{`a; sys_platform != "x/y"`}}, false},
		{"pip by its own name", "pip3 install -q six && pip install 'a' && python -m pip install b && \"$0\" \"$@\"", [][]string{{"six"}, {"a"}, {"b"}}, false},
	} {
		got, ok := readPreamble(tt.script)
		if want := (preamble{tt.want, tt.venv}); !ok || cmp.Diff(want, got, cmp.AllowUnexported(preamble{})) != "" {
			t.Errorf("%s: %+v %v, want %+v", tt.name, got, ok, want)
		}
	}
}

// What is anything else runs as it is written.
func TestNoPreamble(t *testing.T) {
	good := ensurePip + noCheck + pipWords + "'six'"
	for name, script := range map[string]string{
		"not before the command":  "pip install x && python main.py",
		"more of a script":        good + " && echo hello && \"$0\" \"$@\"",
		"a line of its own":       good + "\nexport A=1 && \"$0\" \"$@\"",
		"other arguments":         good + " && \"$0\" \"$1\"",
		"whatever pip says":       good + " || true && \"$0\" \"$@\"",
		"no &&":                   good + "; \"$0\" \"$@\"",
		"nothing":                 " && \"$0\" \"$@\"",
		"no package":              noCheck + "python3 -m pip install --quiet" + thenRun,
		"another program":         "npm install x" + thenRun,
		"a variable":              noCheck + pipWords + "\"six==$VERSION\"" + thenRun,
		"a command's output":      noCheck + pipWords + "$(cat x)" + thenRun,
		"a glob":                  noCheck + pipWords + "wheels/*" + thenRun,
		"a placeholder":           noCheck + pipWords + "'six=={{$.inputs.parameters[\"v\"]}}'" + thenRun,
		"a file of requirements":  noCheck + pipWords + "-r reqs.txt" + thenRun,
		"a folder":                noCheck + pipWords + "'/app/pkg'" + thenRun,
		"a relative folder":       noCheck + pipWords + "'./pkg'" + thenRun,
		"a wheel":                 noCheck + pipWords + "'pkg-1-py3-none-any.whl'" + thenRun,
		"a file as a url":         noCheck + pipWords + "'x @ file:///app/x'" + thenRun,
		"where packages are":      noCheck + pipWords + "--find-links /wheels x" + thenRun,
		"somewhere else":          noCheck + pipWords + "--target /x six" + thenRun,
		"an option we don't know": noCheck + pipWords + "--new-option six" + thenRun,
		"another variable":        "PIP_INDEX_URL=https://x.example python3 -m pip install six" + thenRun,
		"output sent away":        noCheck + pipWords + "six > /dev/null" + thenRun,
		"a quote that never ends": noCheck + pipWords + "'six" + thenRun,
		"the newest":              noCheck + pipWords + "-U six" + thenRun,
		"the newest, in full":     noCheck + pipWords + "six --upgrade" + thenRun,
		"a branch":                noCheck + pipWords + "'git+https://h.example/r@main'" + thenRun,
		"a merge":                 noCheck + pipWords + "'git+https://h.example/r@refs/pull/1/merge#egg=kfp&subdirectory=sdk'" + thenRun,
		"no branch":               noCheck + pipWords + "'x @ git+https://h.example/r'" + thenRun,
		"a user, no branch":       noCheck + pipWords + "'x @ git+ssh://git@h.example/r'" + thenRun,
		"a short commit":          noCheck + pipWords + "'x@git+https://h.example/r@" + commit[:12] + "'" + thenRun,
		"version 1, with others":  "(pip install a || pip install b --user)" + thenRun,
	} {
		if p, ok := readPreamble(script); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for name, command := range map[string][]text{
		"nothing to run": {{Value: "sh"}, {Value: "-c"}, {Value: good + thenRun}},
		"no shell":       {{Value: "python3"}, {Value: "-c"}, {Value: good + thenRun}, {Value: "x"}},
		"other flags":    {{Value: "sh"}, {Value: "-ec"}, {Value: good + thenRun}, {Value: "x"}},
	} {
		if p, ok := findPreamble(command); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// Every component of the suite whose command asks pip for packages is recognised.
func TestPreambleSuite(t *testing.T) {
	var files []string
	for _, pattern := range []string{"suite/valid/*.yaml", "suite/valid/*/*.yaml", "own/*.yaml"} {
		some, err := filepath.Glob(filepath.Join(need.Shared(t, "kfp"), pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	layers := 0
	for _, file := range files {
		f, err := source.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := f.Documents()
		if err != nil {
			continue
		}
		p, err := Read(f, docs)
		if err != nil {
			continue // TestSuite tells of it
		}
		for name, c := range p.Components {
			if c.Pod == nil {
				continue
			}
			for _, container := range c.Pod.Containers {
				asks := len(container.Command) > 3 && len(container.Command[2].Text) > 0 && strings.Contains(container.Command[2].Text[0].Text, "pip install")
				if asks != (container.Layer != nil) {
					t.Errorf("%s: %s: layer %+v", file, name, container.Layer)
				}
				if asks {
					layers++
				}
			}
		}
	}
	if layers < 100 {
		t.Errorf("%d components have a layer", layers)
	}
}

// FuzzPreamble: whatever the script, reading it ends, and what is recognised
// holds a package and nothing that a shell would expand.
func FuzzPreamble(f *testing.F) {
	f.Add(ensurePip + noCheck + pipWords + "'six'  &&  " + inVenv + " " + pipWords + "'kfp==2.17.0' '--no-deps' " + typing + thenRun)
	f.Add("(pip install a || pip install a --user) && \"$0\" \"$@\"")
	f.Add(noCheck + pipWords + "--index-url https://a.example \"x\"" + thenRun)
	f.Fuzz(func(t *testing.T, script string) {
		p, ok := readPreamble(script)
		if !ok {
			return
		}
		if len(p.installs) == 0 {
			t.Error("nothing is installed")
		}
		for _, args := range p.installs {
			if len(args) == 0 {
				t.Errorf("an install of nothing: %q", p.installs)
			}
			for _, a := range args {
				if !strings.Contains(script, a) && !strings.ContainsAny(script, "'\"\\") {
					t.Errorf("%q is not in the script", a)
				}
			}
		}
	})
}
