package kfp

import (
	"fmt"
	"path"
	"slices"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
)

// initContainers adds containers that run before the executor's own, or beside it.
// The backend replaces no placeholders in them.
func (t *platformTranslator) initContainers() error {
	for _, spec := range t.x.InitContainers {
		c, err := t.initContainer(&spec)
		if err != nil {
			return err
		}
		t.pod.Containers = append(t.pod.Containers, c)
	}
	return nil
}

func (t *platformTranslator) initContainer(spec *initContainer) (dag.Container, error) {
	pos := t.x.At["initContainers"]
	about := fmt.Sprintf("%s: init container %q", t.about, spec.Name)
	c := dag.Container{Name: spec.Name, Role: runner.Init, Image: dag.Literal(spec.Image), Pos: pos}
	taken := func(other dag.Container) bool { return other.Name == spec.Name }
	switch {
	case spec.Name == "" || spec.Name == "main" || slices.ContainsFunc(t.pod.Containers, taken):
		return c, t.errorf(pos, "%s: an init container needs a name of its own, not %q", t.about, spec.Name)
	case spec.Image == "":
		return c, t.errorf(pos, "%s has no image", about)
	case spec.RestartPolicy == "Always":
		c.Role = runner.Sidecar
	case spec.RestartPolicy != "":
		return c, t.unknown(text{spec.RestartPolicy, pos}, "restartPolicy", about, []string{"Always"})
	}
	c.Command, c.Args = literals(spec.Command), literals(spec.Args)
	for _, e := range spec.Env {
		if !goodVariable(e.Name.Value) {
			return c, t.errorf(e.Name.Pos, "%s: %q is not a name for an environment variable", about, e.Name.Value)
		}
		c.Env = append(c.Env, dag.EnvVar{Name: e.Name.Value, Value: dag.Literal(e.Value.Value)})
	}
	for _, m := range spec.VolumeMounts {
		volume := t.volumes[m.VolumeName]
		switch {
		case volume == "":
			return c, t.unknown(text{m.VolumeName, pos}, "volume", about, keys(t.volumes))
		case !path.IsAbs(m.MountPath):
			return c, t.errorf(pos, "%s: mountPath %q is not absolute", about, m.MountPath)
		}
		c.Mounts = append(c.Mounts, dag.VolumeMount{Volume: volume, Path: path.Clean(m.MountPath)})
	}
	for _, r := range []struct {
		given       dict[string]
		cpu, memory *dag.Text
	}{
		{spec.Resources.Requests, &c.Resources.CPURequest, &c.Resources.MemoryRequest},
		{spec.Resources.Limits, &c.Resources.CPULimit, &c.Resources.MemoryLimit},
	} {
		for _, e := range r.given.Items {
			switch e.Name {
			case "cpu":
				*r.cpu = dag.Literal(e.Value)
			case "memory":
				*r.memory = dag.Literal(e.Value)
			default:
				t.unused["resource "+e.Name+" of init containers"] = true
			}
		}
	}
	return c, nil
}

func literals(list []string) []dag.Arg {
	var args []dag.Arg
	for _, s := range list {
		args = append(args, dag.Arg{Text: dag.Literal(s)})
	}
	return args
}
