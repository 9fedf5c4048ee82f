package dag

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/runner"
)

// volumeName is the name of a volume that outlives its pods, on the engine.
func volumeName(homeID, kind, name string) string {
	return "wherry-" + homeID + "-" + kind + "-" + name
}

// ParseVolumeName returns what a volume of this name is: a claim by its name, or the
// workspace of a run by its id. ok is false where it is neither, or another home's.
func ParseVolumeName(homeID, volume string) (kind, name string, ok bool) {
	rest, ok := strings.CutPrefix(volume, "wherry-"+homeID+"-")
	if !ok {
		return "", "", false
	}
	kind, name, ok = strings.Cut(rest, "-")
	return kind, name, ok && (kind == "claim" || kind == "workspace")
}

// named evaluates the name of a secret, config map or claim in the graph of the
// task, or in a static look at it where it is written in the file. false: it is null,
// or not known yet.
func (r render) named(src *Source) (string, bool, error) {
	n := r.node
	if n == nil || n.parent == nil {
		if src == nil || src.Constant == nil || src.Constant.Value == nil {
			return "", false, nil
		}
		return FormatValue(src.Constant.Value), true, nil
	}
	for n.parent.loop != nil { // an iteration stands for the task of its loop
		n = n.parent.owner
	}
	x, ok, err := n.parent.value(n, src)
	if err != nil || !ok || x == nil {
		return "", false, err
	}
	return FormatValue(x), true, nil
}

// addVolumes brings the volumes of the pod's spec to pod.
func (r render) addVolumes(pod *runner.Pod, homeID string) error {
	for _, v := range r.node.comp.Pod.Volumes {
		out, ok, err := r.volume(v, homeID)
		if err != nil {
			return err
		}
		if ok {
			pod.Volumes = append(pod.Volumes, out)
		}
	}
	if r.inWorkspace() {
		pod.Volumes = append(pod.Volumes, runner.Volume{Name: workspaceVolume, Named: volumeName(homeID, "workspace", r.run.ID)})
	}
	return nil
}

// volume returns one volume of the pod; false where it is left out.
func (r render) volume(v Volume, homeID string) (runner.Volume, bool, error) {
	out := runner.Volume{Name: "volume-" + v.Name}
	if v.Kind == VolumeEmpty {
		out.Scratch, out.Memory, out.Size = true, v.Memory, v.Size
		return out, true, nil
	}
	name, ok, err := r.named(v.From)
	switch {
	case err != nil:
		return out, false, fmt.Errorf("name of %s: %w", v.Kind, err)
	case v.Kind == VolumeClaim && (!ok || name == ""):
		return out, false, fmt.Errorf("the name of a claim is empty")
	case !ok:
		return out, false, nil
	case v.Kind == VolumeClaim:
		if out.Named = volumeName(homeID, "claim", name); !claimName.MatchString(name) {
			return out, false, fmt.Errorf("%q can't be the name of a claim", name)
		}
		return out, true, nil
	}
	values, there, err := r.given(v.Kind, name)
	if err != nil || !there {
		if err == nil && !v.Optional {
			err = missing(v.Kind, name)
		}
		return out, false, err
	}
	out.Files = map[string]runner.File{}
	for key, data := range values {
		out.Files[key] = runner.File{Data: data, Secret: v.Kind == VolumeSecret}
	}
	return out, true, nil
}

var claimName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,200}$`)

// workspaceVolume is the volume that all tasks of a run share.
const workspaceVolume = "workspace"

// given reads a secret or config map. false: the person gave none of this name. For
// a pod that has started already, what can't be read any more has no keys.
func (r render) given(kind VolumeKind, name string) (map[string][]byte, bool, error) {
	refs := givenOf(r.run, kind)
	if !given.Has(refs, name) {
		return nil, false, nil
	}
	values, err := given.Read(refs, name)
	if err != nil && r.node != nil && r.node.begun {
		return nil, true, nil
	}
	if err != nil {
		err = fmt.Errorf("%s %w", kind, err)
	}
	return values, err == nil, err
}

func givenOf(run *Run, kind VolumeKind) []given.Ref {
	switch {
	case run == nil:
		return nil
	case kind == VolumeSecret:
		return run.Options.Secrets
	}
	return run.Options.ConfigMaps
}

// mounts returns where a container has volumes; those that were left out are not
// mounted.
func (r render) mounts(c *Container, pod *runner.Pod) []runner.Mount {
	var mounts []runner.Mount
	for _, m := range c.Mounts {
		name := "volume-" + m.Volume
		if slices.ContainsFunc(pod.Volumes, func(v runner.Volume) bool { return v.Name == name }) {
			mounts = append(mounts, runner.Mount{Volume: name, Path: m.Path, SubPath: m.SubPath, ReadOnly: m.ReadOnly})
		}
	}
	if r.inWorkspace() {
		mounts = append(mounts, runner.Mount{Volume: workspaceVolume, Path: workspacePath(r.run)})
	}
	return mounts
}

// envFrom returns the value of a variable that is not written in the file; false
// where it is left out.
func (r render) envFrom(f *EnvFrom, pod string) (runner.EnvVar, bool, error) {
	if f.Kind == "" {
		value, err := r.field(f.Field, pod)
		return runner.EnvVar{Value: value}, err == nil, err
	}
	name, ok, err := r.named(f.Name)
	if err != nil || !ok {
		return runner.EnvVar{}, false, err
	}
	values, there, err := r.given(f.Kind, name)
	if err != nil {
		return runner.EnvVar{}, false, err
	}
	value, has := values[f.Key]
	switch {
	case has:
		return runner.EnvVar{Value: string(value), Secret: f.Kind == VolumeSecret}, true, nil
	case f.Optional || r.node.begun:
		return runner.EnvVar{}, false, nil
	case !there:
		return runner.EnvVar{}, false, missing(f.Kind, name, f.Key)
	}
	e := missing(f.Kind, name, f.Key)
	e.Needs[0].Has = slices.Sorted(maps.Keys(values))
	return runner.EnvVar{}, false, e
}

// env returns the variables of a container.
func (r render) env(c *Container, pod string) ([]runner.EnvVar, error) {
	var env []runner.EnvVar
	if r.node.comp.Pod.Executor { // mostly Python, whose output would come when it ends
		env = append(env, runner.EnvVar{Name: "PYTHONUNBUFFERED", Value: "1"})
	}
	env = append(env, r.run.Options.Env...)
	for _, e := range c.Env {
		v, ok := runner.EnvVar{}, true
		var err error
		if e.From != nil {
			v, ok, err = r.envFrom(e.From, pod)
		} else {
			v.Value, err = r.text(e.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		if v.Name = e.Name; ok {
			env = append(env, v)
		}
	}
	if !r.node.comp.Pod.Executor {
		env = append(env, runner.EnvVar{Name: outputsEnv, Value: r.dir})
	}
	return env, nil
}

// fieldKey is a field path that names one label or annotation.
var fieldKey = regexp.MustCompile(`^metadata\.(labels|annotations)\[['"](.+)['"]\]$`)

// GoodField reports whether Kubernetes knows the field path for a variable.
func GoodField(path string) bool {
	_, err := render{node: &node{comp: &Component{Pod: &Pod{}}}}.field(path, "")
	return err == nil
}

// field returns what a field path of the pod stands for. An address is not known
// before the pod runs: it is this machine's.
func (r render) field(path, pod string) (string, error) {
	switch path {
	case "metadata.name":
		return pod, nil
	case "metadata.namespace", "spec.serviceAccountName":
		return "default", nil
	case "metadata.uid":
		sum := strings.TrimPrefix(digestOf(pod), "sha256:")
		return strings.Join([]string{sum[:8], sum[8:12], "4" + sum[13:16], "8" + sum[17:20], sum[20:32]}, "-"), nil
	case "spec.nodeName":
		return "wherry", nil
	case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs":
		return "127.0.0.1", nil
	}
	m := fieldKey.FindStringSubmatch(path)
	if m == nil {
		return "", fmt.Errorf("a pod has no field %q", path)
	}
	meta := r.node.comp.Pod.Metadata
	if meta == nil {
		meta = &Metadata{}
	}
	if m[1] == "labels" {
		return meta.Labels[m[2]], nil
	}
	return meta.Annotations[m[2]], nil
}
