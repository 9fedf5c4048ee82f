package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wherry-ml/wherry/dag/kfp/sdk"
	"github.com/wherry-ml/wherry/dag/source"
)

// pythonFlags say what of a Python file is meant.
type pythonFlags struct{ pipeline, component string }

func (p *pythonFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&p.pipeline, "pipeline", "", "`NAME` of the pipeline in a .py file that holds several")
	fl.StringVar(&p.component, "component", "", "`NAME` of a component in a .py file, to run it alone")
}

func (p *pythonFlags) check(file string) error {
	switch {
	case p.pipeline != "" && p.component != "":
		return &usageError{msg: "--pipeline and --component exclude each other", mend: "wherry run " + file + " --pipeline " + p.pipeline}
	case isPython(file):
		return nil
	case p.pipeline != "":
		return &usageError{msg: "--pipeline chooses from a .py file, and " + file + " is none", mend: "wherry run " + file}
	case p.component != "":
		return &usageError{msg: "--component chooses from a .py file, and " + file + " is none", mend: "wherry run " + file}
	}
	return nil
}

func isPython(file string) bool { return strings.EqualFold(filepath.Ext(file), ".py") }

// loadAny is loadPipeline for Python files too: the person's kfp compiles them.
func (g *globals) loadAny(ctx context.Context, f runFlags, mounted []string) (*loaded, error) {
	if err := f.python.check(f.file); err != nil {
		return nil, err
	}
	if !isPython(f.file) {
		return loadPipeline(f.file, mounted)
	}
	o := sdk.Options{
		File: f.file, Pipeline: f.python.pipeline, Component: f.python.component,
		Home: g.Home, Getenv: g.Getenv, Stderr: g.Err, Note: g.note, Reads: f.reads,
	}
	if g.Verbose {
		o.Detail = g.note
	}
	c, err := sdk.Compile(ctx, o)
	if err != nil {
		return nil, err
	}
	return load(&source.File{Name: f.file + " (compiled)", Text: c.Text}, f.file, mounted)
}
