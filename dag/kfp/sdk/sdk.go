package sdk

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// Version is the version of kfp that wherry is tested with, and the one that it gets
// where nothing here has any.
const Version = "2.17.0"

// packages are what a Python of ours gets: kfp, and its part for platform settings.
var packages = []string{"kfp==" + Version, "kfp-kubernetes==" + Version}

//go:embed compile.py
var program string

// Options say what to compile, and with what.
type Options struct {
	File      string // as the person named it
	Pipeline  string // a pipeline of the file, by function or name; empty: the only one
	Component string // a component of the file: a pipeline of one step
	Home      string // WHERRY_HOME, for the cached virtualenv
	Getenv    func(string) string
	Stderr    io.Writer    // what the file prints
	Note      func(string) // what the person should know
	Detail    func(string) // what is only said with --verbose; nil: nothing is, and kfp's own advice is left out

	// Reads is told which of the person's own files were read beside this one, also
	// where the file could not be compiled: absolute paths. May be nil.
	Reads func(files []string)
}

// Compiled is a compiled pipeline and where it came from.
type Compiled struct {
	Text      []byte // IR YAML
	Name      string // the function
	Component bool   // it is a single component
	With      string // which Python compiled it, in words
	KFP       string // the version of its kfp
}

// Compile compiles the file. What is wrong with the file, or with the Pythons here,
// is a *source.Error; nothing was started then.
func Compile(ctx context.Context, o Options) (*Compiled, error) {
	if _, err := source.Read(o.File); err != nil {
		return nil, err
	}
	r, py, err := o.compileAnywhere(ctx)
	if err != nil {
		return nil, err
	}
	if r.Kind == kindModule {
		if r, err = o.lookFurther(ctx, py, r); err != nil {
			return nil, err
		}
	}
	if r.Kind != kindOK {
		return nil, o.explain(r, py)
	}
	if len(r.IR) > source.MaxSize {
		return nil, &source.Error{File: o.File, Msg: fmt.Sprintf("compiles to %d MiB, more than the %d MiB that are read", len(r.IR)>>20, source.MaxSize>>20)}
	}
	return &Compiled{Text: []byte(r.IR), Name: r.Name, Component: r.What == "component", With: py.what, KFP: r.KFP}, nil
}

// compileAnywhere compiles the file with the first Python that has kfp.
func (o *Options) compileAnywhere(ctx context.Context) (*reply, *interpreter, error) {
	var without []string // the Pythons that have none
	for py, err := range o.interpreters(ctx) {
		if err != nil {
			return nil, nil, err
		}
		r, err := o.call(ctx, py, nil)
		if err != nil {
			return nil, nil, err
		}
		if r.Kind == kindNoKFP {
			without = append(without, py.what)
			o.detail("%s has no kfp", py.what)
			continue
		}
		if len(without) > 0 && strings.HasPrefix(without[0], activeEnv) { // the person chose it
			o.Note(fmt.Sprintf("note: %s has no kfp; compiling with %s", without[0], py.what))
		}
		o.detail("%s is read with kfp %s of %s (Python %s)", o.File, r.KFP, py.what, r.Python)
		return r, py, nil
	}
	return nil, nil, o.nothingHasKFP(without)
}

// lookFurther looks for what no installation would mend in a file that imports
// modules that are missing: kfp's own findings come first, then the modules.
func (o *Options) lookFurther(ctx context.Context, py *interpreter, r *reply) (*reply, error) {
	further, err := o.quietly().call(ctx, py, r.Missing)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return r, nil
	}
	if further.Kind == kindTypes || further.Kind == kindSDK && further.Line > 0 {
		further.Missing = r.Missing
		return further, nil
	}
	return r, nil
}

// quietly is o for a second look: what the file prints was shown already.
func (o *Options) quietly() *Options {
	quiet := *o
	quiet.Stderr = io.Discard
	return &quiet
}

func (o *Options) detail(format string, args ...any) {
	if o.Detail != nil {
		o.Detail(fmt.Sprintf(format, args...))
	}
}

// explain returns the *source.Error for a reply that is no pipeline.
func (o *Options) explain(r *reply, py *interpreter) error {
	if r.Kind == kindChoose {
		return o.explainChoice(r)
	}
	e := &source.Error{File: o.nameOf(r.File), Pos: source.Pos{Line: r.Line, Col: r.Col}, Text: r.Text}
	e.Msg, e.Mend = r.message(), o.mend(r, py)
	if len(r.Missing) > 0 && r.Kind != kindModule {
		e.Mend = strings.TrimSuffix(e.Mend, ".") + fmt.Sprintf("; the file also imports %s, which %s has not", quoted(r.Missing), py.what)
	}
	return e
}

// nameOf names a file as the person would: the one given as it was given.
func (o *Options) nameOf(file string) string {
	given, err := filepath.Abs(o.File)
	if err != nil || file == "" || file == given {
		return o.File
	}
	rel, err := filepath.Rel(filepath.Dir(given), file)
	if err != nil || strings.HasPrefix(rel, "..") {
		return file
	}
	return filepath.Join(filepath.Dir(o.File), rel)
}

// explainChoice says what the file holds where it is not clear what is meant.
func (o *Options) explainChoice(r *reply) error {
	e := &source.Error{File: o.File}
	wanted, what := o.Pipeline, "pipeline"
	if o.Component != "" {
		wanted, what = o.Component, "component"
	}
	switch names := namesOf(r.Things, what); {
	case len(r.Things) == 0:
		e.Msg = "holds no pipeline and no component"
		return e.WithMend("decorate a function with @dsl.pipeline (a pipeline) or @dsl.component (a step)")
	case wanted == "":
		what = r.thing(r.Chosen[0]).What
		e.Msg = fmt.Sprintf("holds %d %ss: %s", len(r.Chosen), what, r.list(r.Chosen))
		if what == "component" {
			e.Msg = "holds no pipeline, and " + strings.TrimPrefix(e.Msg, "holds ")
		}
		return e.WithMend("choose one: --%s %s", what, r.Chosen[0])
	case len(r.Chosen) > 1: // by a name that several have
		e.Msg = fmt.Sprintf("holds %d %ss named %q: %s", len(r.Chosen), what, wanted, r.list(r.Chosen))
		return e.WithMend("choose one by its function: --%s %s", what, r.Chosen[0])
	default:
		e.Msg = fmt.Sprintf("holds no %s %q", what, wanted)
		other := r.thing(wanted)
		near := source.Nearest(wanted, slices.Clone(names))
		switch {
		case other != nil:
			return e.WithMend("%q is a %s: --%s %s", wanted, other.What, other.What, other.Name)
		case near != "":
			return e.WithMend("did you mean --%s %s?", what, near)
		case len(names) > 0:
			return e.WithMend("its %ss: %s", what, r.list(names))
		}
		return e.WithMend("it has %s", r.list(namesOf(r.Things, "")))
	}
}

// namesOf returns the names of the pipelines or components; of all, where what is empty.
func namesOf(things []thing, what string) []string {
	var names []string
	for _, t := range things {
		if t.What == cmp.Or(what, t.What) {
			names = append(names, t.Name)
		}
	}
	return names
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	if len(out) == 1 {
		return out[0]
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}
