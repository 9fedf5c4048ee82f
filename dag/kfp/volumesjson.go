package kfp

import (
	"slices"

	"github.com/wherry-ml/wherry/dag"
)

// volumesJSON are lists of Kubernetes' Volume and VolumeMount: claims, secrets and
// config maps. Those whose name comes from a parameter are left out.
func (t *translator) volumesJSON(x *kubernetesConfig) (volumes, mounts []any) {
	add := func(name string, p *taskInputParameter, kind string, source func(string) map[string]any, mount map[string]any) {
		if name = t.passedName(name, p); name != "" {
			volumes = append(volumes, map[string]any{"name": name, kind: source(name)})
			mount["name"] = name
			mounts = append(mounts, mount)
		}
	}
	for _, p := range x.PvcMount {
		mount := map[string]any{"mountPath": p.MountPath}
		if p.SubPath != "" {
			mount["subPath"] = p.SubPath
		}
		add(p.Constant, p.PvcNameParameter, "persistentVolumeClaim", func(n string) map[string]any { return map[string]any{"claimName": n} }, mount)
	}
	for _, s := range x.SecretAsVolume {
		add(s.SecretName, s.SecretNameParameter, "secret", func(n string) map[string]any {
			return map[string]any{"secretName": n, "optional": s.Optional}
		}, map[string]any{"mountPath": s.MountPath})
	}
	for _, c := range x.ConfigMapAsVolume {
		add(c.ConfigMapName, c.ConfigMapNameParameter, "configMap", func(n string) map[string]any {
			return map[string]any{"name": n, "optional": c.Optional}
		}, map[string]any{"mountPath": c.MountPath})
	}
	return volumes, mounts
}

// platformEnvJSON is a list of Kubernetes' EnvVar with valueFrom.
func (t *translator) platformEnvJSON(x *kubernetesConfig) (env []any) {
	add := func(variable, kind string, ref map[string]any) {
		env = append(env, map[string]any{"name": variable, "valueFrom": map[string]any{kind: ref}})
	}
	for _, s := range x.SecretAsEnv {
		for _, k := range s.KeyToEnv {
			if name := t.passedName(s.SecretName, s.SecretNameParameter); name != "" {
				add(k.EnvVar, "secretKeyRef", map[string]any{"name": name, "key": k.SecretKey, "optional": s.Optional})
			}
		}
	}
	for _, c := range x.ConfigMapAsEnv {
		for _, k := range c.KeyToEnv {
			if name := t.passedName(c.ConfigMapName, c.ConfigMapNameParameter); name != "" {
				add(k.EnvVar, "configMapKeyRef", map[string]any{"name": name, "key": k.ConfigMapKey, "optional": c.Optional})
			}
		}
	}
	for _, f := range x.FieldPathAsEnv {
		add(f.Name, "fieldRef", map[string]any{"fieldPath": f.FieldPath})
	}
	return env
}

// passedName is the name of an object, where the file says it.
func (t *translator) passedName(name string, p *taskInputParameter) string {
	if p != nil {
		name = ""
		if p.RuntimeValue != nil {
			name, _ = p.RuntimeValue.get().(string)
		}
	}
	if name == "" {
		t.unused["taskConfigPassthroughs of names from parameters"] = true
	}
	return name
}

// unmount takes the volumes from a pod that it hands on instead of using them. Those
// that are new for each pod stay.
func unmount(pod *dag.Pod) {
	gone := map[string]bool{}
	pod.Volumes = slices.DeleteFunc(pod.Volumes, func(v dag.Volume) bool {
		gone[v.Name] = v.Kind != dag.VolumeEmpty
		return gone[v.Name]
	})
	for i := range pod.Containers {
		c := &pod.Containers[i]
		c.Mounts = slices.DeleteFunc(c.Mounts, func(m dag.VolumeMount) bool { return gone[m.Volume] })
	}
}
