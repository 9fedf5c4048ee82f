package main

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag"
)

// TestWatchEntry: an entry of watch makes the same run as the flags that it stands for,
// with its paths seen from wherry.yaml.
func TestWatchEntry(t *testing.T) {
	dir := projectDir(t, map[string]string{
		"wherry.yaml": `
mounts: ['./lib:/lib:ro', './other:/app']
params: {n: 3, other: project}
watch:
- sub/p.yaml
- file: sub/p.yaml
  name: nightly
  params: {n: 7, data: data.csv}
  paramsFile: params.yaml
  mounts: ['./src:/app:ro']
  backend: process
  platform: linux/arm64
  network: none
  maxParallel: 2
  noCache: [show]
  noLayers: true
`,
		"params.yaml": "other: file\n", "sub/p.yaml": entryPipeline, "src/a": "", "lib/a": "", "other/a": "", "data.csv": "",
	})
	t.Chdir(t.TempDir()) // relative paths are not seen from here
	p, err := findProject(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.checkWatched(); err != nil {
		t.Fatal(err)
	}
	g := gcHome(t)
	file := filepath.Join(dir, "sub", "p.yaml")
	for i, flags := range []runFlags{
		{file: file, backend: "docker", network: "on", params: []string{"data=" + filepath.Join(dir, "data.csv")}},
		{
			file: file, name: "nightly", backend: "process", network: "none", platform: "linux/arm64", maxParallel: 2, noLayers: true,
			cache: cacheFlags{tasks: []string{"show"}}, mounts: []string{filepath.Join(dir, "src") + ":/app:ro"},
			paramsFile: filepath.Join(dir, "params.yaml"), params: []string{"n=7", "data=" + filepath.Join(dir, "data.csv")},
		},
	} {
		f := p.Watch[i].flags
		if i == 0 {
			f.params = flags.params // which no default stands for
		}
		got, err := g.prepareRun(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := g.prepareRun(t.Context(), flags)
		if err != nil {
			t.Fatal(err)
		}
		if got.run.Options.Watch != p.Watch[i].flags.watchKey || got.run.Options.Watch == "" {
			t.Errorf("the run is of watch %q", got.run.Options.Watch)
		}
		got.run.Options.Watch = ""
		if diff := cmp.Diff(want.run.Options, got.run.Options); diff != "" {
			t.Errorf("options (-flags +entry):\n%s", diff)
		}
		if diff := cmp.Diff(want.run.Parameters, got.run.Parameters); diff != "" {
			t.Errorf("parameters (-flags +entry):\n%s", diff)
		}
		if !reflect.DeepEqual(want.run.Pipeline.Components[want.run.Pipeline.Root], got.run.Pipeline.Components[got.run.Pipeline.Root]) {
			t.Error("artifacts differ")
		}
		if i == 1 && (got.run.Name != "nightly" || got.run.Parameters["n"] != float64(7) && got.run.Parameters["n"] != int64(7) || got.run.Parameters["other"] != "file") {
			t.Errorf("%s: %v", got.run.Name, got.run.Parameters)
		}
	}
	if p.Watch[0].flags.watchKey == p.Watch[1].flags.watchKey {
		t.Error("two watches have one key")
	}
	if again := optionsAgain(&dag.Run{Options: dag.RunOptions{Watch: "w"}}, rerunFlags{}); again.Watch != "" {
		t.Error("a rerun is the watch's")
	}
}

const entryPipeline = `
pipelineInfo: {name: p}
schemaVersion: 2.1.0
root:
  inputDefinitions:
    parameters: {n: {parameterType: NUMBER_INTEGER, defaultValue: 1, isOptional: true}, other: {parameterType: STRING}}
    artifacts: {data: {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}
  dag:
    tasks:
      show: {taskInfo: {name: show}, componentRef: {name: comp-show}, inputs: {artifacts: {d: {componentInputArtifact: data}}, parameters: {n: {componentInputParameter: n}}}}
components:
  comp-show:
    executorLabel: exec-show
    inputDefinitions: {artifacts: {d: {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}, parameters: {n: {parameterType: NUMBER_INTEGER}}}
deploymentSpec:
  executors:
    exec-show: {container: {image: tool, command: [cat]}}
`
