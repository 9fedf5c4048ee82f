package dag

import (
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// keyPod is the argo pod, after two tasks of which one hands it data.
func keyPod() (*Run, *node) {
	run, n := argoPod()
	n.exec.Inputs.Parameters = map[string]any{"lr": 0.1, "n": int64(7)}
	n.task.Parameters = map[string]*Source{"lr": {Task: "tune", Output: "lr"}}
	n.task.Needs = []Edge{{Task: "load"}, {Task: "tune"}}
	n.parent = &scope{nodes: map[string]*node{
		"load": {exec: &Execution{Key: "sha256:load", State: Succeeded}},
		"tune": {exec: &Execution{Key: "sha256:tune", State: Succeeded}},
	}}
	run.Options.Env = []runner.EnvVar{{Name: "SEED", Value: "1"}}
	n.comp.Pod.Containers[1].Env = []EnvVar{{Name: "LEVEL", Value: Literal("info")}}
	n.comp.Pod.Volumes = []Volume{{Name: "tmp", Kind: VolumeEmpty}}
	n.comp.Pod.Containers[1].Mounts = []VolumeMount{{Volume: "tmp", Path: "/tmp/x"}}
	n.exec.Inputs.Parameters["disk"] = "hdd"
	n.comp.Pod.TaskConfig = &Source{Fields: map[string]*Source{
		"env": {Constant: &Constant{"a"}}, "disk": {Input: "disk"}, "job": {Run: "pipeline_job_uuid"}, "name": {Run: "pipeline_job_name"},
	}}
	n.image[1].layers = []*runner.Layer{{Installs: [][]string{{"pandas==2.2"}}}}
	return run, n
}

func key(run *Run, n *node) string { return cacheKey(keyParts(run, n)) }

func TestKeyChanges(t *testing.T) {
	run, n := keyPod()
	before := key(run, n)
	if again := key(keyPod()); again != before {
		t.Fatalf("the same execution has two keys: %v", explainMiss(keyParts(run, n), keyParts(keyPod()), nil))
	}
	input := func(n *node, name string) *Artifact { return &n.exec.Inputs.Artifacts[name][0] }
	for name, change := range map[string]func(run *Run, n *node){
		"image identity":       func(_ *Run, n *node) { n.image[1].Identity = "sha256:3" },
		"command":              func(_ *Run, n *node) { n.comp.Pod.Containers[0].Command = Args("pull") },
		"args":                 func(_ *Run, n *node) { n.comp.Pod.Containers[1].Args = Args("train", "--fast") },
		"arg moved to command": func(_ *Run, n *node) { c := &n.comp.Pod.Containers[1]; c.Command, c.Args = c.Args, nil },
		"arg split":            func(_ *Run, n *node) { n.comp.Pod.Containers[1].Args = Args("tra", "in") },
		"working directory":    func(_ *Run, n *node) { n.comp.Pod.Containers[1].WorkDir = "/" },
		"user":                 func(_ *Run, n *node) { n.comp.Pod.Containers[1].User = "" },
		"env":                  func(_ *Run, n *node) { n.comp.Pod.Containers[1].Env[0].Value = Literal("debug") },
		"env removed":          func(_ *Run, n *node) { n.comp.Pod.Containers[1].Env = nil },
		"requirement":          func(_ *Run, n *node) { n.image[1].layers = []*runner.Layer{{Installs: [][]string{{"pandas==2.3"}}}} },
		"requirement options": func(_ *Run, n *node) {
			n.image[1].layers = []*runner.Layer{{Installs: [][]string{{"--pre", "pandas==2.2"}}}}
		},
		"parameter":           func(_ *Run, n *node) { n.exec.Inputs.Parameters["lr"] = 0.2 },
		"parameter's type":    func(_ *Run, n *node) { n.exec.Inputs.Parameters["n"] = "7" },
		"parameter null":      func(_ *Run, n *node) { n.exec.Inputs.Parameters["n"] = nil },
		"parameter removed":   func(_ *Run, n *node) { delete(n.exec.Inputs.Parameters, "n") },
		"artifact":            func(_ *Run, n *node) { input(n, "file").Digest = "sha256:g" },
		"artifact's metadata": func(_ *Run, n *node) { input(n, "file").Metadata = map[string]any{"a": int64(1)} },
		"artifact elsewhere":  func(_ *Run, n *node) { *input(n, "file") = Artifact{URI: "gs://b/x"} },
		"mounted source":      func(run *Run, _ *node) { run.Options.Mounts[0].Digest = "sha256:app2" },
		"mount's place":       func(run *Run, _ *node) { run.Options.Mounts[0].Target = "/src" },
		"run's env":           func(run *Run, _ *node) { run.Options.Env[0].Value = "2" },
		"run's env removed":   func(run *Run, _ *node) { run.Options.Env = nil },
		"platform":            func(run *Run, _ *node) { run.Options.Platform = "linux/amd64" },
		"format's key":        func(_ *Run, n *node) { n.task.CacheKey = "v2" },
		"directory":           func(_ *Run, n *node) { n.comp.Pod.Directories[1].Path = "/weights" },
		"what it comes after": func(_ *Run, n *node) { n.parent.nodes["load"].exec.Key = "sha256:load2" },
		"comes after no more": func(_ *Run, n *node) { n.task.Needs = n.task.Needs[1:] },
		"one more output parameter": func(_ *Run, n *node) {
			n.comp.Outputs.Parameters["loss"] = &OutputParameter{}
		},
		"one more output artifact": func(_ *Run, n *node) {
			n.comp.Outputs.Artifacts["log"] = &OutputArtifact{}
		},
		"output parameter's file": func(_ *Run, n *node) { n.comp.Outputs.Parameters["acc"].From[0].Path = "/tmp/other" },
		"output parameter's type": func(_ *Run, n *node) { n.comp.Outputs.Parameters["acc"].Type = TypeDouble },
		"output artifact's file":  func(_ *Run, n *node) { n.comp.Outputs.Artifacts["plot"].Path = "/tmp/other.png" },
		"output artifact's type":  func(_ *Run, n *node) { n.comp.Outputs.Artifacts["plot"].Type.Title = "system.HTML" },
		"output artifact's metadata": func(_ *Run, n *node) {
			n.comp.Outputs.Artifacts["plot"].Metadata = map[string]any{"a": "b"}
		},
		"task config": func(_ *Run, n *node) {
			n.comp.Pod.TaskConfig = &Source{Fields: map[string]*Source{"env": {Constant: &Constant{"b"}}}}
		},
		"init container":      func(_ *Run, n *node) { n.comp.Pod.Containers[0].Role = 0 },
		"order of containers": func(_ *Run, n *node) { n.comp.Pod.Containers[1].After = nil },
		"mount's container":   func(_ *Run, n *node) { c := n.comp.Pod.Containers; c[0].Mounts, c[1].Mounts = c[1].Mounts, nil },
		"mount read-only":     func(_ *Run, n *node) { n.comp.Pod.Containers[1].Mounts[0].ReadOnly = true },
		"volume in memory":    func(_ *Run, n *node) { n.comp.Pod.Volumes[0].Memory = true },
		"volume's size":       func(_ *Run, n *node) { n.comp.Pod.Volumes[0].Size = 1 << 20 },
		"long text, one letter": func(_ *Run, n *node) {
			n.comp.Pod.Containers[1].Args = Args(strings.Repeat("x", 1000) + "y")
		},
	} {
		run, n := keyPod()
		change(run, n)
		if key(run, n) == before {
			t.Errorf("%s: the key stays", name)
		}
	}
}

func TestKeyStays(t *testing.T) {
	run, n := keyPod()
	before := key(run, n)
	for name, change := range map[string]func(run *Run, n *node){
		"time": func(run *Run, n *node) {
			run.Created, run.Started, n.exec.Created, n.exec.Started = time.Now(), time.Now(), time.Now(), time.Now()
		},
		"run":             func(run *Run, _ *node) { run.ID, run.Name = "r9", "another" },
		"pipeline's name": func(run *Run, _ *node) { run.Pipeline.Name, run.Pipeline.File = "b", "/elsewhere/b.yaml" },
		"task's name":     func(_ *Run, n *node) { n.task.Name, n.exec.Path, n.comp.Name = "x", "y/x", "z" },
		"execution":       func(_ *Run, n *node) { n.exec.ID, n.exec.Retries = 77, 3 },
		"where a mount comes from": func(run *Run, _ *node) {
			run.Options.Mounts[0].Source, run.Options.Mounts[1].Source = "/srv/app", "/srv/out"
		},
		"where an artifact lies": func(_ *Run, n *node) {
			a := &n.exec.Inputs.Artifacts["file"][0]
			a.URI, a.Name, a.ID, a.Size = "/other/file", "x", 5, 9
		},
		"image's name":      func(_ *Run, n *node) { n.image[1].Name, n.image[1].Ref = "c", "c@sha256:2" },
		"resources":         func(_ *Run, n *node) { n.comp.Pod.Containers[1].Resources = Resources{} },
		"timeout and retry": func(_ *Run, n *node) { n.task.Timeout, n.task.Retry = 5, &Retry{Limit: 3} },
		"parallelism":       func(run *Run, _ *node) { run.Options.MaxParallel, run.Options.Grace = 9, 9 },
		"data of what it reads from": func(_ *Run, n *node) {
			n.parent.nodes["tune"].exec.Key = "sha256:other"
		},
		"whole float": func(_ *Run, n *node) { n.exec.Inputs.Parameters["n"] = 7.0 },
	} {
		run, n := keyPod()
		change(run, n)
		if got := key(run, n); got != before {
			r2, n2 := keyPod()
			t.Errorf("%s: the key changes: %s", name, explainMiss(keyParts(r2, n2), keyParts(run, n), nil))
		}
	}
}

func TestKeyOfEmptyEnv(t *testing.T) {
	run, n := keyPod()
	run.Options.Env[0].Value = ""
	empty := key(run, n)
	run.Options.Env = nil
	if key(run, n) == empty {
		t.Error("an empty variable and none have the same key")
	}
}

// TestKeyOfGraph asserts that a task after a graph has another key when a task in
// the graph has.
func TestKeyOfGraph(t *testing.T) {
	inside := &Execution{Path: "g/a", Key: "sha256:a"}
	run, n := keyPod()
	n.parent.nodes["load"] = &node{exec: &Execution{State: Succeeded}, inner: &scope{order: []*node{{exec: inside}}}}
	before := key(run, n)
	inside.Key = "sha256:b"
	n.parent.nodes["load"].ident = "" // asked for after its end only
	if key(run, n) == before {
		t.Error("the key stays")
	}
}

func TestKeyOfOneContainer(t *testing.T) {
	parts := keyParts(kfpPod())
	for _, name := range []string{"image", "command", "args", "env LEVEL", "env HTTP_PROXY", "parameter n", "artifact table", "output artifact model"} {
		if parts[name] == "" {
			t.Errorf("no part %q in %v", name, parts)
		}
	}
	for name, part := range parts {
		if strings.Contains(part, "nightly") || strings.Contains(part, "/home/u/") || strings.Contains(part, "/w/runs") {
			t.Errorf("%s: %s holds a run's name or a path of this machine", name, part)
		}
	}
}

// TestKeyEnvWins asserts that of two variables of the same name the one that the
// container sees decides.
func TestKeyEnvWins(t *testing.T) {
	run, n := kfpPod()
	run.Options.Env = []runner.EnvVar{{Name: "LEVEL", Value: "debug"}}
	before := key(run, n)
	n.comp.Pod.Containers[0].Env[0].Value = Literal("warn")
	if key(run, n) == before {
		t.Error("a change of the container's own value, which comes later in its environment, leaves the key")
	}
}

func TestKeyHoldsNoSecret(t *testing.T) {
	run, n := kfpPod()
	run.Options.Env = []runner.EnvVar{{Name: "TOKEN", Value: "hunter2", Secret: true}}
	for name, part := range keyParts(run, n) {
		if strings.Contains(part, "hunter2") {
			t.Errorf("%s: %s", name, part)
		}
	}
}

// TestKeyHoldsNoCredentials: those in a URL are neither in a part nor in the name of
// one, and another password is no other work.
func TestKeyHoldsNoCredentials(t *testing.T) {
	parts := func(password string) map[string]string {
		run, n := kfpPod()
		url := "https://me:" + password + "@index.example/simple"
		run.Options.Env = []runner.EnvVar{{Name: "PIP_INDEX_URL", Value: url}}
		n.comp.Pod.Containers[0].Args = Args("--from", url)
		n.exec.Inputs.Parameters["n"] = url
		n.image[0].layers = []*runner.Layer{{Installs: [][]string{{"-i", url, "--extra-index-url=" + url, "x @ git+" + url, "git+" + url}},
			Env: []runner.EnvVar{{Name: "PIP_FIND_LINKS", Value: url}}}}
		return keyParts(run, n)
	}
	got := parts("hunter2")
	for name, part := range got {
		if strings.Contains(name+part, "hunter2") {
			t.Errorf("%s: %s", name, part)
		}
	}
	if cacheKey(got) != cacheKey(parts("changed")) {
		t.Errorf("another password is another key: %s", explainMiss(got, parts("changed"), nil))
	}
}

func TestCacheKeyIsInjective(t *testing.T) {
	seen := map[string]map[string]string{}
	for _, parts := range []map[string]string{
		{}, {"a": "b"}, {"a": "b\n1:c=1:d"}, {"a": "b", "c": "d"}, {"a=1:b": ""}, {"a": "=1:b"}, {"ab": ""}, {"": "ab"},
	} {
		k := cacheKey(parts)
		if other, ok := seen[k]; ok {
			t.Errorf("%v and %v have the same key", parts, other)
		}
		seen[k] = parts
	}
}

func TestExplainMiss(t *testing.T) {
	type m = map[string]string
	for _, tt := range []struct {
		last, now m
		want      string
	}{
		{m{"parameter lr": "0.01"}, m{"parameter lr": "0.02"}, "parameter lr: 0.01 -> 0.02"},
		{m{}, m{"parameter lr": `"a"`}, `parameter lr: (none) -> "a"`},
		{m{"env A": "1"}, m{}, "env A: 1 -> (none)"},
		{m{"image": "sha256:" + strings.Repeat("a", 64)}, m{"image": "sha256:" + strings.Repeat("b", 64)}, "image: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb"},
		{m{"args": strings.Repeat("世", 80)}, m{"args": "x"}, "args: " + strings.Repeat("世", 60) + "… -> x"},
		{m{"a": "1"}, m{"a": "1"}, "nothing to reuse: its last execution has not succeeded"},
	} {
		if got := explainMiss(tt.last, tt.now, nil); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	order := []string{"parameter z", "artifact y", "mount /x", "image", "command", "args", "env A", "requirement b", "after load", "directory /a", "platform"}
	now := m{}
	for _, name := range order {
		now[name] = "1"
	}
	for len(order) > 0 {
		if got, want := explainMiss(m{}, now, nil), order[0]+": (none) -> 1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		delete(now, order[0])
		order = order[1:]
	}
}
