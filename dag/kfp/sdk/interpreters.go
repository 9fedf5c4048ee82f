package sdk

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// interpreter is a Python that may have kfp.
type interpreter struct {
	argv    []string // how it is started
	what    string   // in words: "the virtualenv .venv"
	install string   // the command that installs into it, less the names; "" where there is none
}

// activeEnv begins the words for the virtualenv that the person has activated.
const activeEnv = "the active virtualenv"

// interpreters yields the Pythons to try, in this order: the active virtualenv, one
// beside the file or above it in its project, python3, uv, a cached virtualenv. The
// last two have kfp by themselves; an error says why the last could not be made.
func (o *Options) interpreters(ctx context.Context) iter.Seq2[*interpreter, error] {
	return func(yield func(*interpreter, error) bool) {
		if env := o.Getenv("VIRTUAL_ENV"); env != "" {
			if py := virtualenv(env, activeEnv+" "+env); py == nil {
				o.Note(fmt.Sprintf("note: VIRTUAL_ENV is %s, where there is no bin/python", env))
			} else if !yield(py, nil) {
				return
			}
		}
		for _, env := range environmentsOf(o.File) {
			if py := virtualenv(env, "the virtualenv "+env); py != nil && !yield(py, nil) {
				return
			}
		}
		python, pythonErr := exec.LookPath("python3")
		if pythonErr == nil {
			py := &interpreter{argv: []string{python}, what: python, install: python + " -m pip install"}
			if !yield(py, nil) {
				return
			}
		}
		if py := o.uv(ctx); py != nil && !yield(py, nil) {
			return
		}
		if ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
			return
		}
		if pythonErr != nil {
			return
		}
		py, err := o.cached(ctx, python)
		yield(py, err)
	}
}

// virtualenv is the Python of a virtualenv, or nil where there is none.
func virtualenv(dir, what string) *interpreter {
	python := filepath.Join(dir, "bin", "python")
	if info, err := os.Stat(python); err != nil || info.IsDir() {
		return nil
	}
	install := "uv pip install --python " + python // what uv makes has no pip
	if _, err := os.Stat(filepath.Join(dir, "bin", "pip")); err == nil {
		install = filepath.Join(dir, "bin", "pip") + " install"
	}
	return &interpreter{argv: []string{python}, what: what, install: install}
}

// projectMarks are what the folder of a project has. The first are the root of all.
var projectMarks = []string{".git", ".hg", "pyproject.toml", "setup.py", "requirements.txt", "wherry.yaml"}

// environmentsOf lists where virtualenvs may be for a file: in its folder, and in
// those above it up to its project's root. They are named from the file's folder on,
// as the person named that.
func environmentsOf(file string) []string {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil
	}
	var all, found []string // found: up to the last folder that has a mark
	for {
		all = append(all, filepath.Join(dir, ".venv"), filepath.Join(dir, "venv"))
		mark := slices.IndexFunc(projectMarks, func(m string) bool {
			_, err := os.Stat(filepath.Join(dir, m))
			return err == nil
		})
		if mark >= 0 || found == nil {
			found = slices.Clone(all)
		}
		if mark == 0 || mark == 1 || dir == filepath.Dir(dir) {
			return found
		}
		dir = filepath.Dir(dir)
	}
}

// uv is a Python that uv keeps with kfp in it, or nil where uv is not or can't.
func (o *Options) uv(ctx context.Context) *interpreter {
	uv, err := exec.LookPath("uv")
	if err != nil {
		return nil
	}
	argv := []string{uv, "run", "--quiet", "--no-project"} // a project's own is left as it is
	for _, p := range packages {
		argv = append(argv, "--with", p)
	}
	argv = append(argv, "python")
	stop := o.noteIfSlow("note: uv gets kfp " + Version)
	out, err := command(ctx, append(slices.Clone(argv), "-c", "import kfp")...)
	stop()
	if err != nil {
		o.detail("uv can't give kfp %s: %s", Version, lastLines(out, 1))
		return nil
	}
	return &interpreter{argv: argv, what: "uv"}
}

// nothingHasKFP is the error where no Python compiles the file.
func (o *Options) nothingHasKFP(without []string) error {
	e := &source.Error{File: o.File, Msg: "can't be compiled: there is no python3 here"}
	if len(without) > 0 {
		e.Msg = "can't be compiled: " + strings.Join(without, " and ") + " has no kfp"
	}
	return e.WithMend("install Python 3, then: %s", ownEnv)
}

// ownEnv is how a person makes a virtualenv that wherry finds.
const ownEnv = "python3 -m venv .venv && .venv/bin/pip install kfp"
