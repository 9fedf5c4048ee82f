package podspec

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
)

// Options say how the texts of a template are read.
type Options struct {
	// Text turns a text of the template into one with references. Nil: all are literal.
	Text func(s string, pos source.Pos) (dag.Text, error)
}

// Result is a pod template that was read.
type Result struct {
	Pod     *dag.Pod
	Grace   time.Duration // between SIGTERM and SIGKILL; 0: not said
	Ports   []int         // of all containers
	Ignored []string      // fields that mean nothing on one machine, sorted
}

// Read reads a PodTemplateSpec (a mapping with spec) or a PodSpec (one with
// containers). Every error is a *source.Error.
func Read(f *source.File, n *yaml.Node, o Options) (*Result, error) {
	r := &reader{f: f, o: o, out: &Result{Pod: &dag.Pod{}}}
	var t template
	if has(n, "containers") {
		t.Spec = &spec{}
		if err := f.Decode(n, t.Spec); err != nil {
			return nil, err
		}
	} else if err := f.Decode(n, &t); err != nil {
		return nil, err
	}
	if t.Spec == nil {
		return nil, f.Errorf(source.PosOf(n), "the pod template has no spec")
	}
	if err := r.read(&t); err != nil {
		return nil, err
	}
	slices.Sort(r.out.Ignored)
	r.out.Ignored = slices.Compact(r.out.Ignored)
	return r.out, nil
}

func has(n *yaml.Node, field string) bool {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return true
		}
	}
	return false
}

type reader struct {
	f   *source.File
	o   Options
	out *Result
	err error // the first of text
}

// text reads a text; its error is found by check.
func (r *reader) text(s scalar) dag.Text {
	if r.o.Text == nil || r.err != nil {
		return dag.Literal(s.S)
	}
	t, err := r.o.Text(s.S, s.Pos)
	r.err = err
	return t
}

// meaningless are the fields of a pod and of a container that need no machine of many.
var meaningless = []string{
	"affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostname", "imagePullSecrets",
	"nodeName", "nodeSelector", "preemptionPolicy", "priority", "priorityClassName", "runtimeClassName", "schedulerName",
	"securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain", "tolerations",
	"topologySpreadConstraints", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",
}

func (r *reader) note(given map[string]source.Pos) {
	for name := range given {
		if slices.Contains(meaningless, name) {
			r.out.Ignored = append(r.out.Ignored, name)
		}
	}
}

func (r *reader) read(t *template) error {
	s := t.Spec
	r.note(s.Given)
	for name, x := range map[string]scalar{"hostNetwork": s.HostNetwork, "hostPID": s.HostPID, "hostIPC": s.HostIPC} {
		if x.S == "true" {
			return r.f.Errorf(x.Pos, "%s: a container has no part in this machine's own", name).WithMend("leave it out")
		}
	}
	if len(s.Containers) == 0 {
		return r.f.Errorf(s.Pos, "the pod has no containers")
	}
	pod := r.out.Pod
	if len(t.Metadata.Labels)+len(t.Metadata.Annotations) > 0 {
		pod.Metadata = &dag.Metadata{Labels: plain(t.Metadata.Labels), Annotations: plain(t.Metadata.Annotations)}
	}
	for _, v := range s.Volumes {
		if err := r.volume(v); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for i, c := range slices.Concat(s.InitContainers, s.Containers) {
		if names[c.Name.S] && c.Name.S != "" {
			return r.f.Errorf(c.Name.Pos, "two containers are called %q", c.Name.S)
		}
		names[c.Name.S] = true
		role := runner.Main
		if i < len(s.InitContainers) {
			role = runner.Init
			if c.RestartPolicy.S == "Always" {
				role = runner.Sidecar
			}
		}
		if err := r.container(c, role); err != nil {
			return err
		}
	}
	var err error
	if pod.Timeout, err = r.seconds("activeDeadlineSeconds", s.ActiveDeadlineSeconds); err != nil {
		return err
	}
	if r.out.Grace, err = r.seconds("terminationGracePeriodSeconds", s.TerminationGrace); err != nil {
		return err
	}
	return r.err
}

func plain(m map[string]scalar) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v.S
	}
	return out
}

func (r *reader) seconds(name string, x scalar) (time.Duration, error) {
	if !x.Set {
		return 0, nil
	}
	n, err := strconv.Atoi(x.S)
	if err != nil || n < 0 || n > 1<<31 {
		return 0, r.f.Errorf(x.Pos, "%s must be a whole number of seconds, not %q", name, x.S)
	}
	return time.Duration(n) * time.Second, nil
}

func (r *reader) volume(v *volume) error {
	out := dag.Volume{Name: v.Name.S, Pos: v.Pos}
	constant := func(x scalar) *dag.Source {
		return &dag.Source{Constant: &dag.Constant{Value: x.S}, Pos: x.Pos}
	}
	switch {
	case v.EmptyDir != nil:
		out.Kind, out.Memory = dag.VolumeEmpty, v.EmptyDir.Medium.S == "Memory"
		if size := v.EmptyDir.SizeLimit; out.Memory && size.Set {
			bytes, err := dag.ParseBytes(size.S)
			if err != nil {
				return r.f.Errorf(size.Pos, "sizeLimit %q: %v", size.S, err)
			}
			out.Size = bytes
		}
	case v.Secret != nil:
		if len(v.Secret.Items) > 0 {
			return r.f.Errorf(v.Secret.Pos, "volume %q: items of a secret are not supported yet", v.Name.S).WithMend("mount all of it")
		}
		out.Kind, out.From, out.Optional = dag.VolumeSecret, constant(v.Secret.SecretName), v.Secret.Optional
	case v.ConfigMap != nil:
		if len(v.ConfigMap.Items) > 0 {
			return r.f.Errorf(v.ConfigMap.Pos, "volume %q: items of a config map are not supported yet", v.Name.S).WithMend("mount all of it")
		}
		out.Kind, out.From, out.Optional = dag.VolumeConfigMap, constant(v.ConfigMap.Name), v.ConfigMap.Optional
	case v.Claim != nil:
		out.Kind, out.From = dag.VolumeClaim, constant(v.Claim.ClaimName)
	case v.HostPath != nil:
		return r.f.Errorf(v.Given["hostPath"], "volume %q: hostPath names a place of another machine", v.Name.S).
			WithMend("-v SRC:DST or mounts: in wherry.yaml for a folder of this one")
	default:
		return r.f.Errorf(v.Pos, "volume %q: there is no emptyDir, secret, configMap or persistentVolumeClaim", v.Name.S)
	}
	r.out.Pod.Volumes = append(r.out.Pod.Volumes, out)
	return nil
}

func (r *reader) container(c *container, role runner.Role) error {
	r.note(c.Given)
	if c.Image.S == "" {
		return r.f.Errorf(c.Pos, "container %q has no image", c.Name.S)
	}
	if len(c.EnvFrom) > 0 {
		return r.f.Errorf(c.Given["envFrom"], "container %q: envFrom is not supported yet", c.Name.S).WithMend("env with valueFrom, for each variable")
	}
	out := dag.Container{Name: c.Name.S, Role: role, Image: r.text(c.Image), WorkDir: c.WorkingDir.S, PullPolicy: runner.PullPolicy(c.ImagePullPolicy.S), Pos: c.Pos}
	for _, a := range c.Command {
		out.Command = append(out.Command, dag.Arg{Text: r.text(a)})
	}
	for _, a := range c.Args {
		out.Args = append(out.Args, dag.Arg{Text: r.text(a)})
	}
	for _, e := range c.Env {
		v, err := r.env(e)
		if err != nil {
			return err
		}
		out.Env = append(out.Env, v)
	}
	for _, m := range c.VolumeMounts {
		if !path.IsAbs(m.MountPath.S) {
			return r.f.Errorf(m.Pos, "container %q: mountPath %q is not absolute", c.Name.S, m.MountPath.S)
		}
		if !slices.ContainsFunc(r.out.Pod.Volumes, func(v dag.Volume) bool { return v.Name == m.Name.S }) {
			return r.f.Errorf(m.Pos, "container %q mounts volume %q, which the pod does not have", c.Name.S, m.Name.S)
		}
		out.Mounts = append(out.Mounts, dag.VolumeMount{Volume: m.Name.S, Path: m.MountPath.S, SubPath: m.SubPath.S, ReadOnly: m.ReadOnly})
	}
	if err := r.security(c, &out); err != nil {
		return err
	}
	for _, p := range c.Ports {
		if n, err := strconv.Atoi(p.ContainerPort.S); err == nil {
			r.out.Ports = append(r.out.Ports, n)
		}
	}
	err := r.resources(c, &out.Resources)
	r.out.Pod.Containers = append(r.out.Pod.Containers, out)
	return err
}

func (r *reader) security(c *container, out *dag.Container) error {
	s := c.SecurityContext
	if s == nil {
		return nil
	}
	if s.Privileged.S == "true" {
		return r.f.Errorf(s.Privileged.Pos, "container %q asks to be privileged, which no container gets here", c.Name.S).WithMend("leave it out")
	}
	if s.RunAsUser.Set {
		out.User = s.RunAsUser.S
		if s.RunAsGroup.Set {
			out.User += ":" + s.RunAsGroup.S
		}
	}
	return nil
}

func (r *reader) env(e *envVar) (dag.EnvVar, error) {
	out := dag.EnvVar{Name: e.Name.S}
	if e.Name.S == "" {
		return out, r.f.Errorf(e.Pos, "a variable of env has no name")
	}
	from := e.ValueFrom
	if from == nil {
		out.Value = r.text(e.Value)
		return out, nil
	}
	key := func(kind dag.VolumeKind, k *keyRef) *dag.EnvFrom {
		name := &dag.Source{Constant: &dag.Constant{Value: k.Name.S}, Pos: k.Pos}
		return &dag.EnvFrom{Kind: kind, Name: name, Key: k.Key.S, Optional: k.Optional, Pos: k.Pos}
	}
	switch {
	case from.Secret != nil:
		out.From = key(dag.VolumeSecret, from.Secret)
	case from.ConfigMap != nil:
		out.From = key(dag.VolumeConfigMap, from.ConfigMap)
	case from.Field != nil:
		out.From = &dag.EnvFrom{Field: from.Field.FieldPath.S, Pos: from.Pos}
	default:
		return out, r.f.Errorf(from.Pos, "variable %s: valueFrom needs secretKeyRef, configMapKeyRef or fieldRef", e.Name.S)
	}
	return out, nil
}

// quantity is Kubernetes' notation of an amount.
var quantity = regexp.MustCompile(`^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(n|u|m|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?[0-9]+)?$`)

func (r *reader) resources(c *container, out *dag.Resources) error {
	for _, side := range []struct {
		given       map[string]scalar
		cpu, memory *dag.Text
	}{{c.Resources.Requests, &out.CPURequest, &out.MemoryRequest}, {c.Resources.Limits, &out.CPULimit, &out.MemoryLimit}} {
		for name, x := range side.given {
			text := r.text(x)
			if len(text) == 1 && text[0].Ref == nil && !quantity.MatchString(x.S) {
				return r.f.Errorf(x.Pos, "container %q: %s: %q is not a quantity like 250m, 2 or 4Gi", c.Name.S, name, x.S)
			}
			switch name {
			case "cpu":
				*side.cpu = text
			case "memory":
				*side.memory = text
			case "ephemeral-storage":
				r.out.Ignored = append(r.out.Ignored, name)
			case "nvidia.com/gpu", "amd.com/gpu":
				out.AcceleratorType, out.AcceleratorCount = dag.Literal(name), text
			default:
				return r.f.Errorf(x.Pos, "container %q: resource %q is not supported", c.Name.S, name).WithMend("known: cpu, memory, nvidia.com/gpu")
			}
		}
	}
	return nil
}
