package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/watch"
)

// TestWatchTargets asserts that all that a run is made of is watched, and nothing that
// runs write, nor a secret.
func TestWatchTargets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"wherry.yaml":           "mounts: ['./src:/src:ro', './src/out:/out', './big:/big:ro,live']\nsecrets: {s: ./secret.env}\nconfigMaps: {c: ./conf.env}\nimages: {tool: t}\nbuild: {t: {context: ./ctx}, u: {context: ./unused}}\n",
		"p.yaml":                watchedPipeline,
		"src/a.py":              "",
		"src/out/log":           "",
		"live/x":                "",
		"big/data":              "",
		"data.csv":              "1",
		"ctx/Dockerfile":        "FROM x",
		"ctx/.dockerignore":     "docs",
		"ctx/docs/readme":       "",
		"unused/Dockerfile":     "FROM x",
		"home/artifacts/sha256": "",
		"secret.env":            "A=b",
		"conf.env":              "A=b",
		"params.yaml":           "{}",
		"trial.yaml":            "x: y",
		"loss/x":                "a folder that is called as a metric is no file of the search",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := &globals{Home: filepath.Join(dir, "home"), Getenv: os.Getenv, Err: os.Stderr, Out: os.Stdout}
	f := runFlags{
		file: filepath.Join(dir, "p.yaml"), paramsFile: filepath.Join(dir, "params.yaml"), backend: "docker", network: "on",
		mounts: []string{filepath.Join(dir, "live") + ":/live"},
	}
	job, err := g.prepareRun(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	s := &watching{globals: g, f: f, job: job, reads: []string{filepath.Join(dir, "steps.py")}}
	got := map[string]watch.Target{}
	var names []string
	for _, target := range s.targets() {
		name := strings.TrimPrefix(target.Path, dir+"/")
		got[name], names = target, append(names, name)
	}
	slices.Sort(names)
	want := []string{"big", "conf.env", "ctx", "data.csv", "p.yaml", "params.yaml", "src", "steps.py", "trial.yaml", "wherry.yaml"}
	if !slices.Equal(names, want) {
		t.Errorf("watched are %q, want %q", names, want)
	}
	for path, skipped := range map[string]bool{"src/out": true, "src/out/log": true, "src/a.py": false, "ctx/docs": true, "ctx/Dockerfile": false} {
		root, rel, _ := strings.Cut(path, "/")
		if got[root].Skip(rel, false) != skipped {
			t.Errorf("%s is skipped: %v, want %v", path, !skipped, skipped)
		}
	}
}

// TestWatchRules asserts that the watcher is told when other rules hide what a run is
// made of: a .dockerignore that was saved, a mount below another that is gone.
func TestWatchRules(t *testing.T) {
	dir := t.TempDir()
	rules := func(ignored string, written ...string) string {
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(ignored), 0o644); err != nil {
			t.Fatal(err)
		}
		l := &targetList{home: "/nowhere", written: written}
		l.add(buildContext(dir, "Dockerfile"))
		return l.done()[0].Rules
	}
	before := rules("docs", filepath.Join(physical(dir), "out"))
	if again := rules("docs", filepath.Join(physical(dir), "out"), "/elsewhere"); again != before {
		t.Errorf("the same rules are %q and %q", before, again)
	}
	if rules("", filepath.Join(physical(dir), "out")) == before {
		t.Error("another .dockerignore has the same rules")
	}
	if rules("docs") == before {
		t.Error("without a mount below it there are the same rules")
	}
}

// TestWatchContextAndSource asserts that of a folder which an image is built from, and which
// is mounted as well, everything counts: a .dockerignore hides nothing of a mount.
func TestWatchContextAndSource(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("docs"), 0o644); err != nil {
		t.Fatal(err)
	}
	build, mount := buildContext(dir, "Dockerfile"), watch.Target{Path: dir}
	for _, c := range []struct {
		targets []watch.Target
		hidden  bool
	}{{[]watch.Target{build, mount}, false}, {[]watch.Target{mount, build}, false}, {[]watch.Target{build, build}, true}} {
		l := &targetList{home: "/nowhere"}
		for _, target := range c.targets {
			l.add(target)
		}
		got := l.done()
		if len(got) != 1 || got[0].Skip("docs", true) != c.hidden {
			t.Errorf("%d targets, docs are hidden: %v, want one, %v", len(got), !c.hidden, c.hidden)
		}
	}
}

const watchedPipeline = `
pipelineInfo: {name: p}
schemaVersion: 2.1.0
root:
  dag:
    tasks:
      get: {taskInfo: {name: get}, componentRef: {name: comp-get}, inputs: {parameters: {uri: {runtimeValue: {constant: data.csv}}}}}
      use: {taskInfo: {name: use}, componentRef: {name: comp-use}, inputs: {artifacts: {d: {taskOutputArtifact: {producerTask: get, outputArtifactKey: artifact}}}}, dependentTasks: [get]}
      tune: {taskInfo: {name: tune}, componentRef: {name: comp-tune}}
components:
  comp-tune: {executorLabel: exec-tune}
  comp-get:
    executorLabel: exec-get
    inputDefinitions: {parameters: {uri: {parameterType: STRING}}}
    outputDefinitions: {artifacts: {artifact: {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}}
  comp-use:
    executorLabel: exec-use
    inputDefinitions: {artifacts: {d: {artifactType: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}}
deploymentSpec:
  executors:
    exec-get: {importer: {artifactUri: {runtimeParameter: uri}, typeSchema: {schemaTitle: system.Dataset, schemaVersion: 0.0.1}}}
    exec-tune: {container: {image: wherry/tune, args: [trial.yaml, -s, "x=uniform(0,1)", --minimize, loss, --trial, gone.yaml]}}
    exec-use: {container: {image: tool, command: [cat]}}
`

func TestWatchedLine(t *testing.T) {
	at := time.Now()
	run := &dag.Run{Pipeline: &dag.Pipeline{Name: "p"}, State: dag.Failed, Started: at, Ended: at.Add(1200 * time.Millisecond)}
	c := &watched{run: run, saved: at.Add(-time.Second), executions: []*dag.Execution{
		{Kind: dag.KindContainer, State: dag.Succeeded}, {Kind: dag.KindContainer, State: dag.Succeeded, Cached: true},
		{Kind: dag.KindContainer, State: dag.Failed}, {Kind: dag.KindContainer, State: dag.Skipped}, {Kind: dag.KindLoop, State: dag.Failed},
	}}
	if got, want := watchedLine(c, at.Add(2*time.Second)), "p FAILED in 1.2 s: 1 ran, 1 cached, 1 failed; 3.0 s after the save"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
