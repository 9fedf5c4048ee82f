package dag

import (
	"fmt"
	"slices"

	"github.com/wherry-ml/wherry/runner"
)

// StaticResources returns what a container component asks for, and whether that
// is known before its inputs are.
func (c *Component) StaticResources() (runner.Resources, bool) {
	if c.Pod == nil {
		return runner.Resources{}, false
	}
	r := render{node: &node{comp: c, exec: &Execution{}}}
	var total runner.Resources
	for i := range c.Pod.Containers {
		res, err := r.resources(c.Pod.Containers[i].Resources)
		if err != nil {
			return total, false
		}
		limits := [2]int64{max(total.CPULimit, res.CPULimit), max(total.MemoryLimit, res.MemoryLimit)}
		total = addResources(total, res)
		total.CPULimit, total.MemoryLimit = limits[0], limits[1]
	}
	return total, true
}

// StaticPod returns the pod of a container component as far as it is known before
// anything runs, for a backend to refuse what it can't honour; placeholders stand
// for themselves. false where c is no container.
func (c *Component) StaticPod(run *Run, home string) (runner.Pod, bool) {
	if c.Pod == nil {
		return runner.Pod{}, false
	}
	bare := *c
	bare.Pod = &Pod{Directories: c.Pod.Directories, Executor: c.Pod.Executor, Timeout: c.Pod.Timeout}
	n := &node{comp: &bare, task: &Task{}, exec: &Execution{}}
	pod, err := buildPod(run, n, 1, home, "check", nil)
	if err != nil {
		return pod, false
	}
	var mounts []runner.Mount
	for _, v := range pod.Volumes {
		mounts = append(mounts, runner.Mount{Volume: v.Name, Path: mountPath(c, run, v.Name, home)})
	}
	for _, spec := range c.Pod.Containers {
		pod.Containers = append(pod.Containers, runner.Container{
			Name: containerName(&spec), Role: spec.Role, Image: plain([]Arg{{Text: spec.Image}})[0], Command: plain(spec.command(run.Options)), Args: plain(spec.Args),
			WorkDir: spec.WorkDir, User: spec.User, Mounts: append(slices.Clone(mounts), staticMounts(&spec)...),
		})
	}
	for _, v := range c.Pod.Volumes {
		pod.Volumes = append(pod.Volumes, staticVolume(v))
	}
	return pod, true
}

// staticVolume is a volume of the same kind, before it is known what it holds.
func staticVolume(v Volume) runner.Volume {
	out := runner.Volume{Name: "volume-" + v.Name}
	switch v.Kind {
	case VolumeEmpty:
		out.Scratch, out.Memory, out.Size = true, v.Memory, v.Size
	case VolumeClaim:
		out.Named = "check"
	default:
		out.Files = map[string]runner.File{}
	}
	return out
}

func staticMounts(c *Container) []runner.Mount {
	var mounts []runner.Mount
	for _, m := range c.Mounts {
		mounts = append(mounts, runner.Mount{Volume: "volume-" + m.Volume, Path: m.Path, SubPath: m.SubPath, ReadOnly: m.ReadOnly})
	}
	return mounts
}

// mountPath is where buildPod mounts a volume.
func mountPath(c *Component, run *Run, volume, home string) string {
	for i, m := range run.Options.Mounts {
		if volume == fmt.Sprintf("%s%d", mountVolume, i) {
			return m.Target
		}
	}
	for _, d := range c.Pod.Directories {
		if volume == "dir-"+d.Name {
			return d.Path
		}
	}
	return attemptDir(home, run.ID, 0, 1)
}

// plain returns arguments with each placeholder as {{…}}.
func plain(args []Arg) []string {
	var out []string
	for _, a := range args {
		text := ""
		for _, p := range a.Text {
			if p.Ref != nil {
				text += "{{" + p.Ref.Name + "}}"
				continue
			}
			text += p.Text
		}
		out = append(out, text)
	}
	return out
}
