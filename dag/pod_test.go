package dag

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/runner"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got, as JSON, with testdata/<name>.json.
func golden(t *testing.T, name string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), strings.Split(string(text), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// kfpPod is a task of a KFP container component with everything that one has.
func kfpPod() (*Run, *node) {
	r := trainRender()
	c := &r.node.comp.Pod.Containers[0]
	c.Command = []Arg{{Text: Literal("python3")}, {Text: Text{{Text: "--score="}, {Ref: &Ref{Kind: RefOutputValue, Name: "score"}}}}}
	c.Args = []Arg{
		{Text: Text{{Ref: &Ref{Kind: RefInputPath, Name: "table"}}}},
		{IfPresent: &IfPresent{Input: "note", Then: Args("--note"), Else: Args("--quiet")}},
		{Concat: []Arg{{Text: Literal("n=")}, {Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: "n"}}}}}},
	}
	c.Env = []EnvVar{{Name: "LEVEL", Value: Literal("info")}, {Name: "JOB", Value: Text{{Ref: &Ref{Kind: RefRun, Name: "pipeline_job_name"}}}}}
	c.Resources = Resources{CPULimit: Literal("2"), MemoryRequest: Literal("1Gi"), MemoryLimit: Literal("4Gi"), AcceleratorCount: Literal("1")}
	r.node.exec.Inputs.Artifacts["many"] = []Artifact{
		{Name: "x", URI: "/w/runs/r0/2/1/x", Digest: "sha256:x"}, {Name: "y", URI: "gs://bucket/y"}, {Name: "x", URI: "/w/runs/r0/2/1/x", Digest: "sha256:x"},
	}
	r.node.comp.Pod.Timeout = time.Hour
	r.node.image = []resolved{{Image: runner.Image{Name: "img", Ref: "img@sha256:11", Identity: "sha256:11"}, layers: []*runner.Layer{{Installs: [][]string{{"pandas==2.2"}}}}}}
	r.run.Options = RunOptions{Env: []runner.EnvVar{{Name: "HTTP_PROXY", Value: "http://proxy"}}}
	return r.run, r.node
}

// argoPod is a task of two containers with directories, under mounts.
func argoPod() (*Run, *node) {
	run := &Run{ID: "r2", Name: "nightly", Pipeline: &Pipeline{Name: "wf"}, Options: RunOptions{
		Platform: "linux/arm64", Network: runner.NetworkNone, Grace: 3 * time.Second,
		Mounts: []Mount{{Source: "/home/u/app", Target: "/app", ReadOnly: true, Digest: "sha256:app"}, {Source: "/home/u/out", Target: "/out"}},
	}}
	comp := &Component{
		Name:   "train",
		Inputs: Inputs{Artifacts: map[string]*ArtifactPort{"data": {}, "more": {}, "file": {}}},
		Outputs: Outputs{
			Parameters: map[string]*OutputParameter{"acc": {From: []Origin{{Path: "/tmp/outputs/acc/data"}, {Path: "acc"}, {Text: Literal("1")}}}},
			Artifacts:  map[string]*OutputArtifact{"data": {Path: "/data"}, "plot": {Path: "/tmp/plot.png"}},
		},
		Pod: &Pod{
			Directories: []Directory{{Name: "data", Path: "/data", From: []string{"data", "more"}}, {Name: "models", Path: "/models"}},
			Containers: []Container{
				{Name: "fetch", Role: runner.Init, Image: Literal("a"), Command: Args("fetch")},
				{Name: "train", After: []string{"fetch"}, Image: Literal("b"), Args: Args("train"), WorkDir: "/app", User: "1000:1000", Resources: Resources{CPURequest: Literal("500m")}},
			},
		},
	}
	exec := &Execution{ID: 9, Inputs: Values{Artifacts: map[string][]Artifact{
		"data": {{URI: "/w/runs/r2/1/1/data", Digest: "sha256:d1"}}, "more": {{URI: "/w/runs/r2/2/1/data", Digest: "sha256:d2"}},
		"file": {{URI: "/w/runs/r2/3/1/file", Digest: "sha256:f"}},
	}}}
	n := &node{comp: comp, exec: exec, task: &Task{Name: "train", Timeout: time.Minute}}
	n.image = []resolved{{Image: runner.Image{Ref: "a@sha256:1", Identity: "sha256:1"}}, {Image: runner.Image{Ref: "b@sha256:2", Identity: "sha256:2"}}}
	return run, n
}

func TestBuildPod(t *testing.T) {
	for name, make := range map[string]func() (*Run, *node){"pod_kfp": kfpPod, "pod_argo": argoPod} {
		t.Run(name, func(t *testing.T) {
			run, n := make()
			pod, err := buildPod(run, n, 2, "/w", "h1", []string{"gpu-0"})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, pod)
			again, err := buildPod(run, n, 2, "/w", "h1", []string{"gpu-0"})
			if diff := cmp.Diff(pod, again); err != nil || diff != "" {
				t.Errorf("built twice, it differs: %v %s", err, diff)
			}
		})
	}
}

func TestBuildPodErrors(t *testing.T) {
	missing := Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}}
	for want, spoil := range map[string]func(c *Container){
		`command: input parameter "x" has no value`:                 func(c *Container) { c.Command = []Arg{{Text: missing}} },
		`args: input parameter "x" has no value`:                    func(c *Container) { c.Args = []Arg{{Text: missing}} },
		`env A: input parameter "x" has no value`:                   func(c *Container) { c.Env = []EnvVar{{Name: "A", Value: missing}} },
		`CPU limit: "x" is not a quantity like 250m, 2 or 4Gi`:      func(c *Container) { c.Resources.CPULimit = Literal("x") },
		`memory limit: "1XB" is not a quantity like 250m, 2 or 4Gi`: func(c *Container) { c.Resources.MemoryLimit = Literal("1XB") },
	} {
		run, n := kfpPod()
		spoil(&n.comp.Pod.Containers[0])
		if _, err := buildPod(run, n, 1, "/w", "h1", nil); errorText(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestStaticPod(t *testing.T) {
	run, n := argoPod()
	n.comp.Pod.Containers[1].Args = []Arg{{Text: Text{{Text: "--lr="}, {Ref: &Ref{Kind: RefInputValue, Name: "lr"}}}}}
	pod, ok := n.comp.StaticPod(run, "/w")
	if !ok {
		t.Fatal("not a pod")
	}
	c := pod.Containers[1]
	if len(pod.Containers) != 2 || c.Args[0] != "--lr={{lr}}" || c.User != "1000:1000" || pod.Network.Mode != runner.NetworkNone || pod.Platform != "linux/arm64" {
		t.Errorf("pod %+v", pod)
	}
	var at []string
	for _, m := range c.Mounts {
		at = append(at, m.Volume+" "+m.Path)
	}
	if want := []string{"outputs /w/runs/r2/0/1", "mount-0 /app", "mount-1 /out", "dir-data /data", "dir-models /models"}; !cmp.Equal(at, want) {
		t.Errorf("mounts %q, want %q", at, want)
	}
	if _, ok := (&Component{Graph: &Graph{}}).StaticPod(run, "/w"); ok {
		t.Error("a graph has a pod")
	}
	if _, ok := (&Component{Graph: &Graph{}}).StaticResources(); ok {
		t.Error("a graph has resources")
	}
	res, ok := n.comp.StaticResources()
	if !ok || res.CPU != 500 {
		t.Errorf("StaticResources = %+v, %v", res, ok)
	}
	n.comp.Pod.Containers[1].Resources.CPULimit = Text{{Ref: &Ref{Kind: RefInputValue, Name: "cpus"}}}
	if res, ok := n.comp.StaticResources(); ok {
		t.Errorf("resources from a parameter are known: %+v", res)
	}
}
