package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// asked is what the arguments of a tuning step say.
type asked struct {
	flags   tuneFlags
	changed func(string) bool
	katib   *katibFile    // the Experiment, where the arguments hold it
	limit   time.Duration // of the search; 0: none
}

func readSearch(x dag.Search) (*asked, error) {
	if x.Launcher == dag.LauncherKatib {
		return readKatibLauncher(x)
	}
	return readTuneArgs(x)
}

// runsOwn are the flags of wherry tune that a step has no use for: its trials have
// what the run has.
var runsOwn = []string{"volume", "secret", "config-map", "backend", "platform", "network", "cache", "no-cache", "no-layers", "resume", "dry-run"}

// readTuneArgs reads the arguments of wherry tune. Paths are relative to the
// pipeline's file.
func readTuneArgs(x dag.Search) (*asked, error) {
	args := x.Args
	for _, word := range []string{"wherry", "tune"} {
		if len(args) > 0 && args[0] == word {
			args = args[1:]
		}
	}
	a := &asked{}
	cmd := tuneCmd(func(_ context.Context, f tuneFlags, changed func(string) bool) error {
		a.flags, a.changed = f, changed
		return nil
	})
	cmd.SetArgs(slices.Concat([]string{}, args)) // nil would be those of this process
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.Execute(); err != nil {
		return nil, fmt.Errorf("the arguments of a tuning step are those of wherry tune: %w", err)
	}
	if a.changed == nil {
		return nil, fmt.Errorf("the arguments of a tuning step are those of wherry tune, not %s", strings.Join(args, " "))
	}
	for _, name := range runsOwn {
		if a.changed(name) {
			return nil, fmt.Errorf("--%s is not for a tuning step: its trials have what the run has", name)
		}
	}
	for _, path := range []*string{&a.flags.run.file, &a.flags.trial, &a.flags.run.paramsFile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(x.Run.Pipeline.File), *path)
		}
	}
	if a.flags.command != nil {
		a.flags.run.file = x.Run.Pipeline.File // its wherry.yaml counts
	}
	a.flags.run.backend = x.Run.Options.Backend
	return a, nil
}

// readKatibLauncher reads the arguments of Katib's launcher component for pipelines.
func readKatibLauncher(x dag.Search) (*asked, error) {
	fl := pflag.NewFlagSet(dag.LauncherKatib, pflag.ContinueOnError)
	name := fl.String("experiment-name", "", "")
	spec := fl.String("experiment-spec", "", "")
	minutes := fl.Int("experiment-timeout-minutes", 24*60, "")
	for _, unused := range []string{"experiment-namespace", "delete-after-done", "output-file"} {
		fl.String(unused, "", "")
	}
	first := slices.IndexFunc(x.Args, func(s string) bool { return strings.HasPrefix(s, "--") })
	if err := fl.Parse(x.Args[max(first, 0):]); err != nil {
		return nil, fmt.Errorf("the arguments of Katib's launcher: %w", err)
	}
	value, err := dag.ParseJSON([]byte(*spec))
	if err != nil {
		return nil, fmt.Errorf("--experiment-spec is not JSON: %w", err)
	}
	if *name == "" {
		*name = x.Run.Pipeline.Name
	}
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": map[string]any{"name": *name}, "spec": withoutNulls(value),
	}, "", " ")
	if err != nil {
		return nil, err
	}
	file, err := source.Of("--experiment-spec of "+x.Task, text)
	if err != nil {
		return nil, err
	}
	docs, err := file.Documents()
	if err != nil {
		return nil, err
	}
	a := &asked{katib: &katibFile{file, docs}, changed: func(string) bool { return false }, limit: time.Duration(*minutes) * time.Minute}
	a.flags.run.file, a.flags.run.backend, a.flags.run.network = x.Run.Pipeline.File, x.Run.Options.Backend, "on"
	return a, nil
}

// withoutNulls drops the fields that are null, as Katib's launcher does.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x == nil {
				delete(v, k)
				continue
			}
			v[k] = withoutNulls(x)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}
