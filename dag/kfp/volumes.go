package kfp

import (
	"fmt"
	"path"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// inputs translates secrets and config maps, as files and as variables.
func (t *platformTranslator) inputs() error {
	for i, s := range t.x.SecretAsVolume {
		v := dag.Volume{Name: fmt.Sprintf("secret-%d", i), Kind: dag.VolumeSecret, Optional: s.Optional}
		if err := t.given(v, "secretAsVolume", s.SecretName, s.SecretNameParameter, s.MountPath); err != nil {
			return err
		}
	}
	for i, c := range t.x.ConfigMapAsVolume {
		v := dag.Volume{Name: fmt.Sprintf("config-map-%d", i), Kind: dag.VolumeConfigMap, Optional: c.Optional}
		if err := t.given(v, "configMapAsVolume", c.ConfigMapName, c.ConfigMapNameParameter, c.MountPath); err != nil {
			return err
		}
	}
	for _, s := range t.x.SecretAsEnv {
		name, err := t.named("secretAsEnv", s.SecretName, s.SecretNameParameter)
		if err != nil {
			return err
		}
		for _, k := range s.KeyToEnv {
			from := &dag.EnvFrom{Kind: dag.VolumeSecret, Name: name, Key: k.SecretKey, Optional: s.Optional, Pos: t.x.At["secretAsEnv"]}
			if err := t.env(k.EnvVar, from); err != nil {
				return err
			}
		}
	}
	for _, c := range t.x.ConfigMapAsEnv {
		name, err := t.named("configMapAsEnv", c.ConfigMapName, c.ConfigMapNameParameter)
		if err != nil {
			return err
		}
		for _, k := range c.KeyToEnv {
			from := &dag.EnvFrom{Kind: dag.VolumeConfigMap, Name: name, Key: k.ConfigMapKey, Optional: c.Optional, Pos: t.x.At["configMapAsEnv"]}
			if err := t.env(k.EnvVar, from); err != nil {
				return err
			}
		}
	}
	return nil
}

// given adds a volume of a secret or config map.
func (t *platformTranslator) given(v dag.Volume, field, name string, parameter *taskInputParameter, at string) error {
	var err error
	if v.From, err = t.named(field, name, parameter); err != nil {
		return err
	}
	return t.mount(v, dag.VolumeMount{Path: at, ReadOnly: true}, field, constant(v.From))
}

// named is where the name of a secret, config map or claim comes from; the parameter
// wins over the older field, as in the backend.
func (t *platformTranslator) named(field, name string, p *taskInputParameter) (*dag.Source, error) {
	pos := t.x.At[field]
	if p == nil && name != "" {
		return &dag.Source{Constant: &dag.Constant{Value: name}, Pos: pos}, nil
	}
	if p == nil {
		return nil, t.errorf(pos, "%s: %s has no name", t.about, field)
	}
	constant := ""
	if p.RuntimeValue != nil {
		constant, _ = p.RuntimeValue.get().(string)
	}
	switch {
	case p.TaskOutputParameter != nil:
		o := p.TaskOutputParameter
		return &dag.Source{Task: o.ProducerTask.Value, Output: o.OutputParameterKey.Value, Pos: o.ProducerTask.Pos}, nil
	case p.ComponentInputParameter != nil:
		return &dag.Source{Input: p.ComponentInputParameter.Value, Pos: p.ComponentInputParameter.Pos}, nil
	case constant != "":
		return &dag.Source{Constant: &dag.Constant{Value: constant}, Pos: p.RuntimeValue.Pos}, nil
	}
	return nil, t.errorf(p.Pos, "%s: %s: its name needs a constant, a taskOutputParameter or a componentInputParameter", t.about, field)
}

// constant is the text of a source that is one, else "".
func constant(src *dag.Source) string {
	if src == nil || src.Constant == nil {
		return ""
	}
	return dag.FormatValue(src.Constant.Value)
}

// env adds a variable that is not written in the file.
func (t *platformTranslator) env(name string, from *dag.EnvFrom) error {
	if !goodVariable(name) {
		return t.errorf(from.Pos, "%s: %q is not a name for an environment variable", t.about, name)
	}
	t.main().Env = append(t.main().Env, dag.EnvVar{Name: name, From: from})
	return nil
}

// mount adds a volume of the pod and mounts it in its main container. called is its
// name in Kubernetes, where init containers may ask for it.
func (t *platformTranslator) mount(v dag.Volume, m dag.VolumeMount, field, called string) error {
	v.Pos = t.x.At[field]
	if !path.IsAbs(m.Path) {
		return t.errorf(v.Pos, "%s: %s: mountPath %q is not absolute", t.about, field, m.Path)
	}
	m.Volume, m.Path = v.Name, path.Clean(m.Path)
	for _, other := range t.main().Mounts {
		if other.Path == m.Path {
			return t.errorf(v.Pos, "%s: %s: two volumes at %s", t.about, field, m.Path)
		}
	}
	t.pod.Volumes = append(t.pod.Volumes, v)
	t.main().Mounts = append(t.main().Mounts, m)
	if called != "" {
		t.volumes[called] = v.Name
	}
	return nil
}

func (t *platformTranslator) claims() error {
	for i, p := range t.x.PvcMount {
		parameter := p.PvcNameParameter
		if parameter == nil && p.TaskOutputParameter != nil {
			parameter = &taskInputParameter{TaskOutputParameter: p.TaskOutputParameter}
		} else if parameter == nil && p.ComponentInputParameter != "" {
			parameter = &taskInputParameter{ComponentInputParameter: &text{p.ComponentInputParameter, t.x.At["pvcMount"]}}
		}
		from, err := t.named("pvcMount", p.Constant, parameter)
		if err != nil {
			return err
		}
		v := dag.Volume{Name: fmt.Sprintf("claim-%d", i), Kind: dag.VolumeClaim, From: from}
		if err := t.mount(v, dag.VolumeMount{Path: p.MountPath, SubPath: p.SubPath}, "pvcMount", constant(from)); err != nil {
			return err
		}
	}
	return nil
}

// scratch translates the volumes that are new for each pod.
func (t *platformTranslator) scratch() error {
	for i, e := range t.x.EmptyDirMounts {
		v := dag.Volume{Name: fmt.Sprintf("empty-%d", i), Kind: dag.VolumeEmpty, Memory: e.Medium == "Memory"}
		pos := t.x.At["emptyDirMounts"]
		if e.Medium != "" && e.Medium != "Memory" {
			return t.unknown(text{e.Medium, pos}, "medium", t.about+": emptyDirMounts", []string{"Memory"})
		}
		if err := t.size(&v, e.SizeLimit, pos); err != nil {
			return err
		}
		if err := t.mount(v, dag.VolumeMount{Path: e.MountPath}, "emptyDirMounts", e.VolumeName); err != nil {
			return err
		}
	}
	for i, g := range t.x.GenericEphemeralVolume {
		v := dag.Volume{Name: fmt.Sprintf("ephemeral-%d", i), Kind: dag.VolumeEmpty}
		if err := t.size(&v, g.Size, t.x.At["genericEphemeralVolume"]); err != nil {
			return err
		}
		if err := t.mount(v, dag.VolumeMount{Path: g.MountPath}, "genericEphemeralVolume", g.VolumeName); err != nil {
			return err
		}
	}
	if s := t.x.EnabledSharedMemory; s != nil {
		v := dag.Volume{Name: "shared-memory", Kind: dag.VolumeEmpty, Memory: true}
		if err := t.size(&v, s.Size, t.x.At["enabledSharedMemory"]); err != nil {
			return err
		}
		return t.mount(v, dag.VolumeMount{Path: "/dev/shm"}, "enabledSharedMemory", s.VolumeName)
	}
	return nil
}

// size sets the size of a volume in memory; that of any other is not used.
func (t *platformTranslator) size(v *dag.Volume, quantity string, pos source.Pos) error {
	if quantity == "" {
		return nil
	}
	bytes, err := dag.ParseMemory(quantity)
	if err != nil {
		return t.errorf(pos, "%s: %s", t.about, err)
	}
	if v.Memory {
		v.Size = bytes
	} else {
		t.unused[unusedSizes] = true
	}
	return nil
}

// linkPlatform adds the edges to the tasks whose outputs are names of secrets,
// config maps and claims, and checks that there are such tasks and inputs.
func (t *translator) linkPlatform() error {
	for _, name := range keys(t.out.Components) {
		c := t.out.Components[name]
		if c.Graph == nil {
			continue
		}
		for _, name := range keys(c.Graph.Tasks) {
			task := c.Graph.Tasks[name]
			target := t.out.Components[task.Component]
			if target == nil || target.Pod == nil {
				continue
			}
			for _, src := range names(target.Pod) {
				if err := t.link(c, task, src); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// names are the sources of a pod's names.
func names(pod *dag.Pod) (list []*dag.Source) {
	for _, v := range pod.Volumes {
		if v.From != nil {
			list = append(list, v.From)
		}
	}
	for _, c := range pod.Containers {
		for _, e := range c.Env {
			if e.From != nil && e.From.Name != nil {
				list = append(list, e.From.Name)
			}
		}
	}
	return list
}

func (t *translator) link(c *dag.Component, task *dag.Task, src *dag.Source) error {
	about := fmt.Sprintf("task %q: platform kubernetes", task.Name)
	switch {
	case src.Input != "" && c.Inputs.Parameters[src.Input] == nil:
		return t.unknown(text{src.Input, src.Pos}, "input parameter", about, keys(c.Inputs.Parameters))
	case src.Task != "" && c.Graph.Tasks[src.Task] == nil:
		return t.unknown(text{src.Task, src.Pos}, "task", about, keys(c.Graph.Tasks))
	case src.Task != "":
		for _, e := range task.Needs {
			if e.Task == src.Task {
				return nil
			}
		}
		task.Needs = append(task.Needs, dag.Edge{Task: src.Task})
	}
	return nil
}
