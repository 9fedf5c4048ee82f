package kfp_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/e2e/need"
	"go.yaml.in/yaml/v3"
)

// notation writes each placeholder as the format does; N is the name, K the key.
var notation = map[dag.RefKind]string{
	dag.RefExecutorInput:  "{{$}}",
	dag.RefOutputFile:     "{{$.outputs.output_file}}",
	dag.RefInputValue:     "{{$.inputs.parameters['N']}}",
	dag.RefOutputValue:    "{{$.outputs.parameters['N'].output_file}}",
	dag.RefInputArtifact:  "{{$.inputs.artifacts['N']}}",
	dag.RefInputURI:       "{{$.inputs.artifacts['N'].uri}}",
	dag.RefInputPath:      "{{$.inputs.artifacts['N'].path}}",
	dag.RefInputMetadata:  "{{$.inputs.artifacts['N'].metadata['K']}}",
	dag.RefOutputArtifact: "{{$.outputs.artifacts['N']}}",
	dag.RefOutputURI:      "{{$.outputs.artifacts['N'].uri}}",
	dag.RefOutputPath:     "{{$.outputs.artifacts['N'].path}}",
	dag.RefOutputMetadata: "{{$.outputs.artifacts['N'].metadata['K']}}",
	dag.RefRun:            "{{$.N}}",
	dag.RefWorkspace:      "{{$.workspace_path}}",
}

// render is the inverse of the reader's placeholder parser.
func render(t dag.Text) string {
	var b strings.Builder
	for _, p := range t {
		if p.Ref == nil {
			b.WriteString(p.Text)
			continue
		}
		s := notation[p.Ref.Kind]
		if p.Ref.Key == "" {
			s = strings.Replace(s, "['K']", "", 1)
		}
		b.WriteString(strings.NewReplacer("'N'", "'"+p.Ref.Name+"'", ".N}", "."+p.Ref.Name+"}", "'K'", "'"+p.Ref.Key+"'").Replace(s))
	}
	return b.String()
}

func renderJSON(a dag.Arg) any {
	list := func(args []dag.Arg) []any {
		out := []any{}
		for _, a := range args {
			out = append(out, renderJSON(a))
		}
		return out
	}
	switch {
	case a.IfPresent != nil:
		m := map[string]any{"InputName": a.IfPresent.Input, "Then": list(a.IfPresent.Then)}
		if a.IfPresent.Else != nil {
			m["Else"] = list(a.IfPresent.Else)
		}
		return map[string]any{"IfPresent": m}
	case a.Concat != nil:
		return map[string]any{"Concat": list(a.Concat)}
	}
	return render(a.Text)
}

type rawPipeline struct {
	Components map[string]rawComponent `yaml:"components"`
	Root       rawComponent            `yaml:"root"`
	Deployment struct {
		Executors map[string]struct {
			Container *rawContainer `yaml:"container"`
			Importer  *yaml.Node    `yaml:"importer"`
		} `yaml:"executors"`
	} `yaml:"deploymentSpec"`
}

type rawComponent struct {
	ExecutorLabel string `yaml:"executorLabel"`
	Inputs        rawIO  `yaml:"inputDefinitions"`
	Outputs       rawIO  `yaml:"outputDefinitions"`
	Dag           struct {
		Tasks map[string]struct {
			DependentTasks []string `yaml:"dependentTasks"`
		} `yaml:"tasks"`
	} `yaml:"dag"`
}

type rawIO struct {
	Parameters map[string]any `yaml:"parameters"`
	Artifacts  map[string]any `yaml:"artifacts"`
}

type rawContainer struct {
	Image         string
	Command, Args []string
	Env           []struct{ Name, Value string }
	Resources     struct {
		CPULimit    string `yaml:"resourceCpuLimit"`
		CPURequest  string `yaml:"resourceCpuRequest"`
		MemLimit    string `yaml:"resourceMemoryLimit"`
		MemRequest  string `yaml:"resourceMemoryRequest"`
		Accelerator struct {
			Type  string `yaml:"resourceType"`
			Count string `yaml:"resourceCount"`
		}
	}
}

// TestLossless renders every string of every container back and compares it
// with the file, and counts components, tasks, inputs and outputs.
func TestLossless(t *testing.T) {
	dir := need.Shared(t, "")
	strs := 0
	for _, d := range []string{"kfp/suite/valid", "kfp/own", "kfp/ecommerce", "bench/pipelines"} {
		for _, path := range files(t, filepath.Join(dir, d)) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var raw rawPipeline
			if err := yaml.Unmarshal(text, &raw); err != nil {
				t.Fatal(err)
			}
			p, err := read(path)
			if err != nil {
				t.Error(err)
				continue
			}
			raw.Components[p.Root] = raw.Root
			if len(p.Components) != len(raw.Components) {
				t.Errorf("%s: %d components, want %d", path, len(p.Components), len(raw.Components))
			}
			for name, rc := range raw.Components {
				c := p.Components[name]
				compareComponent(t, path, rc, c)
				x := raw.Deployment.Executors[rc.ExecutorLabel]
				if (x.Importer != nil) != (c.Importer != nil) || (x.Container != nil) != (c.Pod != nil || c.Claim != nil) {
					t.Errorf("%s: component %q became another kind", path, name)
				}
				if x.Container != nil && c.Pod != nil {
					strs += compareContainer(t, path, x.Container, &c.Pod.Containers[0])
				}
			}
		}
	}
	t.Logf("%d strings", strs)
}

func compareComponent(t *testing.T, path string, rc rawComponent, c *dag.Component) {
	t.Helper()
	same := func(what string, want, got []string) {
		for _, name := range want { // the translation may add undeclared inputs
			if !slices.Contains(got, name) {
				t.Errorf("%s: component %q: %s %q is lost", path, c.Name, what, name)
			}
		}
	}
	same("input", keys(rc.Inputs.Parameters), keys(c.Inputs.Parameters))
	same("input artifact", keys(rc.Inputs.Artifacts), keys(c.Inputs.Artifacts))
	same("output", keys(rc.Outputs.Parameters), keys(c.Outputs.Parameters))
	same("output artifact", keys(rc.Outputs.Artifacts), keys(c.Outputs.Artifacts))
	for name, rt := range rc.Dag.Tasks {
		task := c.Graph.Tasks[name]
		if task == nil {
			t.Errorf("%s: task %q is lost", path, name)
			continue
		}
		var needs []string
		for _, e := range task.Needs {
			needs = append(needs, e.Task)
		}
		same("dependency", rt.DependentTasks, needs)
	}
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func compareContainer(t *testing.T, path string, raw *rawContainer, c *dag.Container) (strs int) {
	t.Helper()
	check := func(what, want, got string) {
		strs++
		if want != got {
			t.Errorf("%s: %s (-want +got):\n%s", path, what, cmp.Diff(want, got))
		}
	}
	check("image", raw.Image, render(c.Image))
	for _, list := range []struct {
		raw []string
		got []dag.Arg
	}{{raw.Command, c.Command}, {raw.Args, c.Args}} {
		if len(list.raw) != len(list.got) {
			t.Errorf("%s: %d arguments, want %d", path, len(list.got), len(list.raw))
			continue
		}
		for i, a := range list.got {
			if a.IfPresent == nil && a.Concat == nil {
				check("argument", list.raw[i], render(a.Text))
				continue
			}
			var want any
			if err := json.Unmarshal([]byte(list.raw[i]), &want); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			strs++
			if diff := cmp.Diff(want, renderJSON(a)); diff != "" {
				t.Errorf("%s: argument (-want +got):\n%s", path, diff)
			}
		}
	}
	for i, e := range raw.Env {
		check("env "+e.Name, e.Name+"="+e.Value, c.Env[i].Name+"="+render(c.Env[i].Value))
	}
	for want, got := range map[*string]dag.Text{
		&raw.Resources.CPULimit: c.Resources.CPULimit, &raw.Resources.CPURequest: c.Resources.CPURequest,
		&raw.Resources.MemLimit: c.Resources.MemoryLimit, &raw.Resources.MemRequest: c.Resources.MemoryRequest,
		&raw.Resources.Accelerator.Type: c.Resources.AcceleratorType, &raw.Resources.Accelerator.Count: c.Resources.AcceleratorCount,
	} {
		if *want != "" {
			check("resource", *want, render(got))
		}
	}
	return strs
}
