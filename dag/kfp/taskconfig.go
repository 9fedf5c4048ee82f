package kfp

import (
	"fmt"

	"github.com/wherry-ml/wherry/dag"
)

// taskConfig does what a component's taskConfigPassthroughs ask: it gives the
// named parts of the pod's configuration to the inputs of type TASK_CONFIG, in
// Kubernetes' own JSON, for a program that starts a pod of its own. Such a part is
// not applied to the step's own pod, unless applyToTask says so.
func (t *translator) taskConfig(c *dag.Component, spec *componentSpec, container *containerSpec) error {
	receives := false
	for _, p := range c.Inputs.Parameters {
		if p.Type == dag.TypeTaskConfig {
			p.Optional, receives = true, true
		}
	}
	config := map[string]any{"affinity": nil, "tolerations": nil, "nodeSelector": nil, "env": nil,
		"volumes": nil, "volumeMounts": nil, "resources": map[string]any{}}
	own := &c.Pod.Containers[0]
	for _, pass := range spec.TaskConfigPassthroughs {
		x := t.kubernetesConfig(spec.ExecutorLabel.Value)
		switch pass.Field.Value {
		case "RESOURCES":
			config["resources"] = resourceJSON(&container.Resources)
			if !pass.ApplyToTask {
				own.Resources = dag.Resources{}
			}
		case "ENV":
			config["env"] = append(envJSON(container.Env), t.platformEnvJSON(x)...)
			if !pass.ApplyToTask {
				own.Env = nil
			}
		case "KUBERNETES_NODE_SELECTOR":
			config["nodeSelector"] = nodeSelectorJSON(x.NodeSelector)
		case "KUBERNETES_TOLERATIONS":
			config["tolerations"] = tolerationsJSON(x.Tolerations)
		case "KUBERNETES_VOLUMES":
			if x.mounts() {
				config["volumes"], config["volumeMounts"] = t.volumesJSON(x)
			}
			if !pass.ApplyToTask {
				unmount(c.Pod)
			}
		case "KUBERNETES_AFFINITY":
			if receives && len(x.NodeAffinity)+len(x.PodAffinity) > 0 {
				t.unused["taskConfigPassthroughs "+pass.Field.Value] = true
			}
		case "", "NONE":
		default:
			return t.unknown(pass.Field, "field", fmt.Sprintf("component %q: taskConfigPassthroughs", c.Name),
				[]string{"RESOURCES", "ENV", "KUBERNETES_AFFINITY", "KUBERNETES_TOLERATIONS", "KUBERNETES_NODE_SELECTOR", "KUBERNETES_VOLUMES"})
		}
	}
	if !receives {
		return nil
	}
	var err error
	c.Pod.TaskConfig, err = t.own(c, config, spec.At["taskConfigPassthroughs"])
	return err
}

// kubernetesConfig is what the platform document says of an executor; nothing
// where it says nothing.
func (t *translator) kubernetesConfig(label string) *kubernetesConfig {
	if t.platform != nil {
		if p := t.platform.Platforms.get("kubernetes"); p != nil {
			if e := p.Value.DeploymentSpec.Executors.get(label); e != nil {
				return &e.Value
			}
		}
	}
	return &kubernetesConfig{}
}

func (x *kubernetesConfig) mounts() bool {
	return len(x.SecretAsVolume)+len(x.ConfigMapAsVolume)+len(x.PvcMount) > 0
}

// resourceJSON is Kubernetes' ResourceRequirements.
func resourceJSON(spec *resourceSpec) map[string]any {
	out := map[string]any{}
	set := func(kind, name, quantity, older string) {
		if quantity == "" {
			quantity = older
		}
		if quantity == "" || name == "" {
			return
		}
		if out[kind] == nil {
			out[kind] = map[string]any{}
		}
		out[kind].(map[string]any)[name] = quantity
	}
	set("limits", "cpu", spec.ResourceCPULimit.Value, cores(spec.CPULimit))
	set("limits", "memory", spec.ResourceMemoryLimit.Value, gigabytes(spec.MemoryLimit))
	set("requests", "cpu", spec.ResourceCPURequest.Value, cores(spec.CPURequest))
	set("requests", "memory", spec.ResourceMemoryRequest.Value, gigabytes(spec.MemoryRequest))
	if a := spec.Accelerator; a != nil {
		kind, count := a.ResourceType.Value, ""
		if kind == "" {
			kind = a.Type.Value
		}
		if a.Count > 0 {
			count = fmt.Sprint(a.Count)
		}
		set("limits", kind, a.ResourceCount.Value, count)
	}
	return out
}

// envJSON is a list of Kubernetes' EnvVar.
func envJSON(env []envVar) []any {
	out := []any{}
	for _, e := range env {
		v := map[string]any{"name": e.Name.Value}
		if e.Value.Value != "" {
			v["value"] = e.Value.Value
		}
		out = append(out, v)
	}
	return out
}

func nodeSelectorJSON(s *nodeSelector) any {
	if s == nil || len(s.Labels.Items) == 0 {
		return nil
	}
	out := map[string]any{}
	for _, l := range s.Labels.Items {
		out[l.Name] = l.Value
	}
	return out
}

// tolerationsJSON is a list of Kubernetes' Toleration; those that come from a
// parameter are left out.
func tolerationsJSON(list []toleration) any {
	if len(list) == 0 {
		return nil
	}
	out := []any{}
	for _, t := range list {
		v := map[string]any{}
		for name, s := range map[string]string{"key": t.Key, "operator": t.Operator, "value": t.Value, "effect": t.Effect} {
			if s != "" {
				v[name] = s
			}
		}
		if t.TolerationSeconds != nil {
			v["tolerationSeconds"] = *t.TolerationSeconds
		}
		if t.TolerationJSON == nil {
			out = append(out, v)
		}
	}
	return out
}
