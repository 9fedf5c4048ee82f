package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/runner"
)

func constant(s string) *Source { return &Source{Constant: &Constant{Value: s}} }

// writeGiven writes files and returns a Ref to each whole one: user.env is "user".
func writeGiven(t *testing.T, files map[string]string) []given.Ref {
	t.Helper()
	dir := t.TempDir()
	var refs []given.Ref
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, given.Ref{Name: strings.TrimSuffix(name, filepath.Ext(name)), From: path})
	}
	return refs
}

// volumePod is a KFP task with every kind of volume and variable.
func volumePod(t *testing.T) (*Run, *node) {
	run, n := kfpPod()
	run.Options.Secrets = writeGiven(t, map[string]string{"user.env": "name=zoe\npassword=hunter2\n"})
	run.Options.ConfigMaps = writeGiven(t, map[string]string{"app.yaml": "mode: fast\n"})
	n.parent = &scope{setting: &setting{run: run}, inputs: Values{Parameters: map[string]any{"claim": "shared", "none": nil}},
		nodes: map[string]*node{"make": {exec: &Execution{State: Succeeded, Outputs: Values{Parameters: map[string]any{"name": "made"}}}}}}
	pod := n.comp.Pod
	pod.Metadata = &Metadata{Labels: map[string]string{"team": "red"}}
	pod.Volumes = []Volume{
		{Name: "s", Kind: VolumeSecret, From: constant("user")}, {Name: "c", Kind: VolumeConfigMap, From: constant("app")},
		{Name: "p", Kind: VolumeClaim, From: &Source{Input: "claim"}}, {Name: "q", Kind: VolumeClaim, From: &Source{Task: "make", Output: "name"}},
		{Name: "m", Kind: VolumeEmpty, Memory: true, Size: 5}, {Name: "left-out", Kind: VolumeSecret, From: constant("nobody"), Optional: true},
		{Name: "null", Kind: VolumeSecret, From: &Source{Input: "none"}},
	}
	c := &pod.Containers[0]
	for _, v := range pod.Volumes {
		c.Mounts = append(c.Mounts, VolumeMount{Volume: v.Name, Path: "/" + v.Name})
	}
	c.Env = []EnvVar{
		{Name: "NAME", From: &EnvFrom{Kind: VolumeSecret, Name: constant("user"), Key: "name"}},
		{Name: "MODE", From: &EnvFrom{Kind: VolumeConfigMap, Name: constant("app"), Key: "mode"}},
		{Name: "NO_KEY", From: &EnvFrom{Kind: VolumeSecret, Name: constant("user"), Key: "token", Optional: true}},
		{Name: "NULL", From: &EnvFrom{Kind: VolumeSecret, Name: &Source{Input: "none"}, Key: "token"}},
		{Name: "TEAM", From: &EnvFrom{Field: "metadata.labels['team']"}}, {Name: "POD", From: &EnvFrom{Field: "metadata.name"}},
		{Name: "NO_LABEL", From: &EnvFrom{Field: "metadata.annotations['x']"}},
	}
	return run, n
}

func TestPodVolumes(t *testing.T) {
	run, n := volumePod(t)
	pod, err := buildPod(run, n, 1, "/w", "h", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []runner.Volume{
		{Name: "outputs", Scratch: true},
		{Name: "volume-s", Files: map[string]runner.File{"name": {Data: []byte("zoe"), Secret: true}, "password": {Data: []byte("hunter2"), Secret: true}}},
		{Name: "volume-c", Files: map[string]runner.File{"mode": {Data: []byte("fast")}}},
		{Name: "volume-p", Named: "wherry-h-claim-shared"}, {Name: "volume-q", Named: "wherry-h-claim-made"},
		{Name: "volume-m", Scratch: true, Memory: true, Size: 5},
	}
	if diff := cmp.Diff(want, pod.Volumes); diff != "" {
		t.Error(diff)
	}
	c := pod.Containers[0]
	var at []string
	for _, m := range c.Mounts {
		at = append(at, m.Volume+" "+m.Path)
	}
	if got := strings.Join(at[1:], ", "); got != "volume-s /s, volume-c /c, volume-p /p, volume-q /q, volume-m /m" {
		t.Errorf("mounts: %s", got)
	}
	wantEnv := []runner.EnvVar{
		{Name: "PYTHONUNBUFFERED", Value: "1"}, {Name: "HTTP_PROXY", Value: "http://proxy"}, {Name: "NAME", Value: "zoe", Secret: true}, {Name: "MODE", Value: "fast"},
		{Name: "TEAM", Value: "red"}, {Name: "POD", Value: pod.Name}, {Name: "NO_LABEL"},
	}
	if diff := cmp.Diff(wantEnv, c.Env); diff != "" {
		t.Error(diff)
	}
}

func TestPodVolumesMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(run *Run, pod *Pod)
		err, hint string
	}{
		"secret":      {func(run *Run, _ *Pod) { run.Options.Secrets = nil }, `secret "user" was not given`, "--secret user=FILE"},
		"config map":  {func(run *Run, _ *Pod) { run.Options.ConfigMaps = nil }, `config map "app" was not given`, "--config-map app=FILE"},
		"key":         {func(_ *Run, pod *Pod) { pod.Containers[0].Env[0].From.Key = "login" }, `secret "user" has no key login (it has name, password)`, "--secret user/login=FILE"},
		"empty claim": {func(_ *Run, pod *Pod) { pod.Volumes[2].From = &Source{Input: "none"} }, "the name of a claim is empty", ""},
		"bad claim":   {func(_ *Run, pod *Pod) { pod.Volumes[2].From = constant("../x") }, `"../x" can't be the name of a claim`, ""},
	} {
		run, n := volumePod(t)
		tt.change(run, n.comp.Pod)
		_, err := buildPod(run, n, 1, "/w", "h", nil)
		if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", name, err, tt.err)
		}
		if e, ok := errors.AsType[*GivenError](err); tt.hint != "" && (!ok || !strings.HasPrefix(e.Hint(), tt.hint)) {
			t.Errorf("%s: hint of %v", name, err)
		}
	}
}

// TestBegunPodNeedsNoSecrets: who resumes a run may not have the variables any more.
func TestBegunPodNeedsNoSecrets(t *testing.T) {
	run, n := volumePod(t)
	run.Options.Secrets = []given.Ref{{Name: "user", Key: "name", From: "env:WHERRY_TEST_NOT_THERE"}}
	if _, err := buildPod(run, n, 1, "/w", "h", nil); err == nil || !strings.Contains(err.Error(), "WHERRY_TEST_NOT_THERE is not set") {
		t.Errorf("a new pod: %v", err)
	}
	n.begun = true
	if _, err := buildPod(run, n, 1, "/w", "h", nil); err != nil {
		t.Errorf("a pod that runs: %v", err)
	}
}

// TestKeyOfGiven: a secret's value is not part of the key, everything else is.
func TestKeyOfGiven(t *testing.T) {
	key := func(change func(run *Run, n *node)) (string, map[string]string) {
		run, n := volumePod(t)
		change(run, n)
		parts := keyParts(run, n)
		return cacheKey(parts), parts
	}
	before, parts := key(func(*Run, *node) {})
	if text := fmt.Sprint(parts); strings.Contains(text, "hunter2") || strings.Contains(text, "zoe") {
		t.Errorf("the key's parts hold a secret: %s", text)
	}
	write := func(files map[string]string) []given.Ref { return writeGiven(t, files) }
	for name, change := range map[string]func(run *Run, n *node){
		"its value": func(run *Run, _ *node) {
			run.Options.Secrets = write(map[string]string{"user.env": "name=x\npassword=y\n"})
		},
		"another secret": func(run *Run, _ *node) {
			run.Options.Secrets = append(run.Options.Secrets, write(map[string]string{"z": "x"})...)
		},
		"where it came from": func(run *Run, _ *node) {
			run.Options.Secrets = write(map[string]string{"user.yaml": "{name: n, password: p}"})
		},
	} {
		if after, _ := key(change); after != before {
			t.Errorf("%s changes the key", name)
		}
	}
	for name, change := range map[string]func(run *Run, n *node){
		"a secret's keys":     func(run *Run, _ *node) { run.Options.Secrets = write(map[string]string{"user.env": "name=zoe\n"}) },
		"a config map's text": func(run *Run, _ *node) { run.Options.ConfigMaps = write(map[string]string{"app.yaml": "mode: slow\n"}) },
		"a claim":             func(_ *Run, n *node) { n.parent.inputs.Parameters["claim"] = "other" },
		"a mount":             func(_ *Run, n *node) { n.comp.Pod.Containers[0].Mounts[0].Path = "/elsewhere" },
		"a key":               func(_ *Run, n *node) { n.comp.Pod.Containers[0].Env[0].From.Key = "password" },
		"a label":             func(_ *Run, n *node) { n.comp.Pod.Metadata.Labels["team"] = "blue" },
		"a field":             func(_ *Run, n *node) { n.comp.Pod.Containers[0].Env[4].From.Field = "metadata.uid" },
		"the workspace": func(run *Run, n *node) {
			run.Pipeline.Workspace = true
			n.comp.Pod.Containers[0].WorkDir = ""
			n.exec.Inputs.Artifacts["table"][0].Metadata[workspaceMark] = true
		},
	} {
		if after, _ := key(change); after == before {
			t.Errorf("%s leaves the key", name)
		}
	}
}

func TestWorkspacePaths(t *testing.T) {
	run, n := kfpPod()
	run.Pipeline.Workspace = true
	r := render{run: run, node: n}
	if r.inWorkspace() {
		t.Error("a task that doesn't use the workspace mounts it")
	}
	n.exec.Inputs.Artifacts["table"][0].Metadata[workspaceMark] = true
	for uri, want := range map[string]string{
		"/w/runs/r0/1/1/table": "/kfp-workspace/.artifacts/w/runs/r0/1/1/table",
		"gs://bucket/a/b":      "/kfp-workspace/.artifacts/gcs/bucket/a/b",
		"s3://bucket/a":        "/kfp-workspace/.artifacts/s3/bucket/a",
	} {
		a := &n.exec.Inputs.Artifacts["table"][0]
		a.URI = uri
		if got := r.inputPath(*a); got != want {
			t.Errorf("%s is at %s, want %s", uri, got, want)
		}
		if got, err := r.ref(&Ref{Kind: RefInputPath, Name: "table"}); err != nil || got != want {
			t.Errorf("its placeholder: %s, %v", got, err)
		}
	}
	pod, err := buildPod(run, n, 1, "/w", "h", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(pod.Volumes, func(v runner.Volume) bool { return v.Named == "wherry-h-workspace-r1" }) ||
		!slices.ContainsFunc(pod.Containers[0].Mounts, func(m runner.Mount) bool { return m.Path == "/kfp-workspace" && m.Volume == "workspace" }) {
		t.Errorf("%+v", pod)
	}
}

// TestCheckGiven: names are followed from the pipeline's parameters into groups.
func TestCheckGiven(t *testing.T) {
	step := func(src *Source) *Component {
		return &Component{Pod: &Pod{Containers: []Container{{Env: []EnvVar{{Name: "A", From: &EnvFrom{Kind: VolumeSecret, Name: src, Key: "k"}}}}}}}
	}
	optional := step(constant("optional"))
	optional.Pod.Containers[0].Env[0].From.Optional = true
	task := func(c string, parameters map[string]*Source) *Task {
		return &Task{Name: c, Component: c, Parameters: parameters}
	}
	p := &Pipeline{Root: "root", Components: map[string]*Component{
		"root": {Graph: &Graph{Tasks: map[string]*Task{
			"a": task("constant", nil), "b": task("group", map[string]*Source{"x": {Input: "name"}}), "c": task("made", nil), "d": task("optional", nil),
			"e": task("defaults", nil),
		}}},
		"group":    {Inputs: Inputs{Parameters: map[string]*Parameter{"x": {}}}, Graph: &Graph{Tasks: map[string]*Task{"i": task("input", nil)}}},
		"defaults": {Inputs: Inputs{Parameters: map[string]*Parameter{"x": {HasDefault: true, Default: "by-default"}}}, Graph: &Graph{Tasks: map[string]*Task{"i": task("input", nil)}}},
		"constant": step(constant("c")), "input": step(&Source{Input: "x"}), "made": step(&Source{Task: "a", Output: "o"}), "optional": optional,
		"unused": step(constant("unused")),
	}}
	run := &Run{Pipeline: p, Parameters: map[string]any{"name": "from-parameter"}}
	run.Options.Secrets = writeGiven(t, map[string]string{"c.env": "other=v3ry-s3cret\n"})
	err := CheckGiven(run)
	want := `secret "by-default" (key k) was not given; secret "c" has no key k (it has other); secret "from-parameter" (key k) was not given`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	run.Options.Secrets = writeGiven(t, map[string]string{"c.env": "k=v", "by-default.env": "k=v", "from-parameter.env": "k=v"})
	if err := CheckGiven(run); err != nil {
		t.Error(err)
	}
	run.Options.Secrets[0].From += ".gone"
	if err := CheckGiven(run); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a source that is gone: %v", err)
	}
}

// TestMayNeed: what only some branch needs is no reason to refuse a run.
func TestMayNeed(t *testing.T) {
	step := &Component{Inputs: Inputs{Parameters: map[string]*Parameter{"s": {}}}, Pod: &Pod{Containers: []Container{
		{Env: []EnvVar{{Name: "A", From: &EnvFrom{Kind: VolumeSecret, Name: constant("s"), Key: "k"}}}},
	}}}
	items := func(list ...any) *Iterator { return &Iterator{Items: &Source{Constant: &Constant{list}}} }
	when := &Expression{Text: "x"}
	for name, tt := range map[string]struct {
		sure  bool
		tasks map[string]*Task
	}{
		"alone":          {true, map[string]*Task{"a": {Component: "step"}}},
		"condition":      {false, map[string]*Task{"a": {Component: "step", When: when}}},
		"in a condition": {false, map[string]*Task{"g": {Component: "group", When: when}}},
		"in a group":     {true, map[string]*Task{"g": {Component: "group"}}},
		"loop":           {true, map[string]*Task{"a": {Component: "step", Iterate: items("x")}}},
		"empty loop":     {false, map[string]*Task{"a": {Component: "step", Iterate: items()}}},
		"unknown loop":   {false, map[string]*Task{"a": {Component: "step", Iterate: &Iterator{Items: &Source{Input: "x"}}}}},
		"behind a condition": {false, map[string]*Task{
			"c": {Component: "none", When: when}, "a": {Component: "step", Needs: []Edge{{Task: "b"}}}, "b": {Component: "none", Needs: []Edge{{Task: "c"}}},
		}},
		"data behind a condition": {false, map[string]*Task{
			"c": {Component: "none", When: when}, "a": {Component: "step", Parameters: map[string]*Source{"s": {Task: "c", Output: "x"}}},
		}},
		"exit handler of a condition": {true, map[string]*Task{"c": {Component: "none", When: when}, "a": {Component: "step", Needs: []Edge{{Task: "c", On: OnEnd}}}}},
		"after a failure":             {false, map[string]*Task{"c": {Component: "none"}, "a": {Component: "step", Needs: []Edge{{Task: "c", On: OnFailure}}}}},
		"also elsewhere":              {true, map[string]*Task{"a": {Component: "step", When: when}, "b": {Component: "step"}}},
	} {
		run := &Run{Pipeline: &Pipeline{Root: "root", Components: map[string]*Component{
			"root": {Graph: &Graph{Tasks: tt.tasks}}, "step": step, "none": {Pod: &Pod{}},
			"group": {Graph: &Graph{Tasks: map[string]*Task{"a": {Component: "step"}}}},
		}}}
		sure, maybe := CheckGiven(run), MayNeed(run)
		if (sure != nil) != tt.sure || (maybe != nil) == tt.sure {
			t.Errorf("%s: needs %v, may need %v", name, sure, maybe)
		}
		run.Options.Secrets = writeGiven(t, map[string]string{"s.env": "k=v\n"})
		if sure, maybe := CheckGiven(run), MayNeed(run); sure != nil || maybe != nil {
			t.Errorf("%s: it is given: needs %v, may need %v", name, sure, maybe)
		}
	}
}

// remover is an engine with named volumes, of which some are in use for a while.
type remover struct {
	*scripted
	removed []string
	busy    int
}

func (r *remover) RemoveVolume(_ context.Context, name string) error {
	if r.busy--; r.busy >= 0 {
		return errors.New("volume is in use")
	}
	r.removed = append(r.removed, name)
	return nil
}

func claims() *Pipeline {
	p := steps("use<-make drop<-use")
	parameters := map[string]*Parameter{"pvc_name": {Optional: true}, "pvc_name_suffix": {Optional: true}}
	p.Components["create"] = &Component{Name: "create", Claim: &Claim{}, Inputs: Inputs{Parameters: parameters}, Outputs: Outputs{Parameters: map[string]*OutputParameter{"name": {}}}}
	p.Components["delete"] = &Component{Name: "delete", Claim: &Claim{Delete: true}, Inputs: Inputs{Parameters: parameters}}
	tasks := p.Components["root"].Graph.Tasks
	tasks["make"] = &Task{Name: "make", Component: "create", Parameters: map[string]*Source{"pvc_name_suffix": constant("-data")}}
	tasks["drop"].Component, tasks["drop"].Parameters = "delete", map[string]*Source{"pvc_name": {Task: "make", Output: "name"}}
	return p
}

func TestDriveClaims(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(1)
		b := &remover{scripted: s.backend, busy: 3}
		p := claims()
		p.Workspace = true
		s.create("r1", p, func(r *Run) { r.Options.Cache = CacheOn })
		d := s.driver("r1")
		d.Backend = b
		run, list, err := d.Drive(s.t.Context(), "r1")
		if err != nil || run.State != Succeeded {
			s.t.Fatalf("%+v, %v", run, err)
		}
		var made string
		for _, x := range list {
			if x.Task == "make" {
				made, _ = x.Outputs.Parameters["name"].(string)
			}
			if x.Cached || x.Kind != KindContainer {
				s.t.Errorf("%+v", x)
			}
		}
		if want := []string{"wherry-h-claim-" + made, "wherry-h-workspace-r1"}; !strings.HasSuffix(made, "-data") || !cmp.Equal(b.removed, want) {
			s.t.Errorf("made %q, removed %v, want %v", made, b.removed, want)
		}
		s.clean()
	})
}

// TestDriveClaimAgain: a driver that takes over finds the same name.
func TestDriveClaimAgain(t *testing.T) {
	n := &node{comp: &Component{Claim: &Claim{}}, exec: &Execution{ID: 7}}
	for name, tt := range map[string]struct {
		inputs map[string]any
		want   string
	}{
		"none":   {nil, "r1-7"},
		"suffix": {map[string]any{"pvc_name_suffix": "-x"}, "r1-7-x"},
		"name":   {map[string]any{"pvc_name": "mine", "pvc_name_suffix": ""}, "mine"},
		"both":   {map[string]any{"pvc_name": "mine", "pvc_name_suffix": "-x"}, "error: a claim has a pvc_name or a pvc_name_suffix, not both"},
		"source": {map[string]any{"data_source": map[string]any{"name": "x"}}, "error: a claim can't be made as the copy of another (data_source)"},
		"bad":    {map[string]any{"pvc_name": "a/b"}, `error: "a/b" can't be the name of a claim`},
	} {
		n.exec.Inputs.Parameters = tt.inputs
		got, err := n.claimName(&Run{ID: "r1"})
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestFailedWorkspaceStays: what a failed run has in its workspace can be looked at,
// also that of one which ran too long.
func TestFailedWorkspaceStays(t *testing.T) {
	for name, deadline := range map[string]time.Duration{"failed": 0, "too long": time.Minute} {
		t.Run(name, func(t *testing.T) { failedWorkspaceStays(t, deadline) })
	}
}

func failedWorkspaceStays(t *testing.T, deadline time.Duration) {
	play(t, func(s *stage) {
		if s.exits(func(string, int) runner.Exit { return exit1 }); deadline > 0 {
			s.lasts(time.Hour)
		}
		b := &remover{scripted: s.backend}
		p := steps("a")
		p.Workspace, p.Deadline = true, deadline
		s.create("r1", p)
		d := s.driver("r1")
		d.Backend = b
		if run, _, err := d.Drive(s.t.Context(), "r1"); err != nil || run.State != Failed || len(b.removed) > 0 {
			s.t.Errorf("%v, %v, removed %v", run.State, err, b.removed)
		}
		s.clean()
	})
}

// TestOptionsHoldNoSecret: what is stored of a run says where a secret comes from.
func TestOptionsHoldNoSecret(t *testing.T) {
	run, _ := volumePod(t)
	text, err := json.Marshal(run)
	if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "user.env") {
		t.Errorf("%s, %v", text, err)
	}
}
