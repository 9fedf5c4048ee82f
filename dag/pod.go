package dag

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// resolved is a container's image once it was found.
type resolved struct {
	runner.Image
	base   string                       // Identity of the image under the layers; empty: there are none
	layers []*runner.Layer              // in it, or in the environment that stands for it
	make   func() (runner.Image, error) // puts the layers on it, beside the loop; nil: they are
	key    imageKey
}

// names of a pod's outputs, before a colon.
const (
	outExecutor  = "executor"
	outArtifact  = "artifact:"
	outParameter = "parameter:" // parameter:<index of origin>:<name>
)

// workVolume is the scratch volume that holds an attempt's outputs directory.
const workVolume = "outputs"

// mountVolume and a number name the volumes of RunOptions.Mounts.
const mountVolume = "mount-"

// outputsEnv names the outputs directory to commands that know nothing of KFP.
const outputsEnv = "WHERRY_OUTPUTS"

// defaultGrace is how long a container has between SIGTERM and SIGKILL.
const defaultGrace = 10 * time.Second

// buildPod returns the pod of an attempt. It is a pure function of the
// execution, so that a driver that takes over after a crash builds the same.
func buildPod(run *Run, n *node, number int64, home, homeID string, devices []string) (runner.Pod, error) {
	r := render{run: run, node: n, dir: attemptDir(home, run.ID, n.exec.ID, number)}
	spec := n.comp.Pod
	pod := runner.Pod{
		Name: runner.PodName(homeID, run.ID, n.exec.ID, number),
		Labels: map[string]string{
			runner.LabelHome:      homeID,
			runner.LabelRun:       run.ID,
			runner.LabelExecution: fmt.Sprint(n.exec.ID),
			runner.LabelAttempt:   fmt.Sprint(number),
		},
		Platform: run.Options.Platform,
		Volumes:  []runner.Volume{{Name: workVolume, Scratch: true}},
		Network:  runner.Network{Mode: run.Options.Network, Ports: spec.Ports},
		Deadline: timeout(n),
		Grace:    grace(run),
		FailFast: spec.FailFast,
	}
	mounts := []runner.Mount{{Volume: workVolume, Path: r.dir}}
	for i, m := range run.Options.Mounts {
		v := runner.Volume{Name: fmt.Sprintf("%s%d", mountVolume, i), Tree: m.Digest}
		if m.Digest == "" || m.Live {
			v.Tree, v.Host, v.Live = "", m.Source, m.Live
		}
		pod.Volumes = append(pod.Volumes, v)
		mounts = append(mounts, runner.Mount{Volume: v.Name, Path: m.Target, ReadOnly: m.ReadOnly})
	}
	for _, d := range spec.Directories {
		v := runner.Volume{Name: "dir-" + d.Name, Scratch: true}
		for _, input := range d.From {
			for _, a := range n.exec.Inputs.Artifacts[input] {
				v.Seed = append(v.Seed, a.Digest)
			}
		}
		pod.Volumes = append(pod.Volumes, v)
		mounts = append(mounts, runner.Mount{Volume: v.Name, Path: d.Path})
	}
	if err := r.addVolumes(&pod, homeID); err != nil {
		return pod, err
	}
	var err error
	if pod.Inputs, err = r.inputMounts(); err != nil {
		return pod, err
	}
	pod.Outputs = r.podOutputs()
	for i := range spec.Containers {
		c, err := r.container(&spec.Containers[i], n.image[i], pod.Name)
		if err != nil {
			return pod, err
		}
		c.Mounts = append(slices.Clone(mounts), r.mounts(&spec.Containers[i], &pod)...)
		if err := r.fit(&spec.Containers[i], &c, &pod); err != nil {
			return pod, err
		}
		pod.Containers = append(pod.Containers, c)
		pod.Resources = addResources(pod.Resources, c.Resources)
	}
	pod.Resources.Devices = devices
	return pod, nil
}

// attemptDir is the outputs directory of an attempt, on this machine and in its
// containers alike.
func attemptDir(home, run string, execution, number int64) string {
	return filepath.Join(home, "runs", run, fmt.Sprint(execution), fmt.Sprint(number))
}

// logPath is where the log of an attempt is kept, relative to WHERRY_HOME.
func logPath(run string, execution, number int64) string {
	return filepath.Join("logs", run, fmt.Sprintf("%d-%d.log", execution, number))
}

func timeout(n *node) time.Duration {
	if n.task.Timeout > 0 {
		return n.task.Timeout
	}
	return n.comp.Pod.Timeout
}

func grace(run *Run) time.Duration {
	if run.Options.Grace > 0 {
		return run.Options.Grace
	}
	return defaultGrace
}

// inputMounts returns the input artifacts that are mounted, at their inputPath.
// Those of the pod's directories are copied into these instead.
func (r render) inputMounts() ([]runner.Input, error) {
	copied := map[string]bool{}
	for _, d := range r.node.comp.Pod.Directories {
		for _, input := range d.From {
			copied[input] = true
		}
	}
	var inputs []runner.Input
	seen := map[string]bool{}
	for _, name := range sortedKeys(r.inputs().Artifacts) {
		for _, a := range r.inputs().Artifacts[name] {
			if a.Digest != "" && !copied[name] && !seen[a.URI] {
				seen[a.URI] = true
				places := []string{r.containerPath(a)}
				if at := r.inputPath(a); at != places[0] { // in the workspace; older SDKs look at the first
					places = append(places, at)
				}
				for _, at := range places {
					if err := checkPath(name, a, at); err != nil {
						return nil, err
					}
					inputs = append(inputs, runner.Input{Digest: a.Digest, Path: at})
				}
			}
		}
	}
	return inputs, nil
}

// podOutputs returns what Collect must bring.
func (r render) podOutputs() []runner.Output {
	var outputs []runner.Output
	if r.node.comp.Pod.Executor {
		outputs = append(outputs, runner.Output{Name: outExecutor, Path: r.dir + "/" + executorOutput})
	}
	for _, name := range sortedKeys(r.node.comp.Outputs.Parameters) {
		for i, path := range r.originPaths(name) {
			if path != "" {
				outputs = append(outputs, runner.Output{Name: fmt.Sprintf("%s%d:%s", outParameter, i, name), Path: path})
			}
		}
	}
	for _, name := range sortedKeys(r.node.comp.Outputs.Artifacts) {
		outputs = append(outputs, runner.Output{
			Name: outArtifact + name, Path: r.artifactPath(name), Container: r.node.comp.Outputs.Artifacts[name].Container,
		})
	}
	return outputs
}

// originPaths returns the file of each origin of an output parameter; "" where
// the origin is no file.
func (r render) originPaths(name string) []string {
	o := r.node.comp.Outputs.Parameters[name]
	if len(o.From) == 0 {
		return []string{r.parameterPath(name)}
	}
	paths := make([]string, len(o.From))
	for i, origin := range o.From {
		switch {
		case strings.HasPrefix(origin.Path, "/"):
			paths[i] = origin.Path
		case origin.Path != "":
			paths[i] = r.dir + "/" + origin.Path
		}
	}
	return paths
}

func (r render) container(c *Container, img resolved, pod string) (runner.Container, error) {
	out := runner.Container{
		Name: containerName(c), Role: c.Role, After: c.After, Image: img.Ref,
		WorkDir: c.WorkDir, User: c.User, Layer: joinLayers(img.layers),
		Init: c.Layer != nil || c.Python != nil, // their first process is a shell, which no command can be missing for
	}
	var err error
	if out.Command, err = r.args(c.command(r.run.Options)); err != nil {
		return out, fmt.Errorf("command: %w", err)
	}
	if out.Args, err = r.args(c.Args); err != nil {
		return out, fmt.Errorf("args: %w", err)
	}
	if out.Env, err = r.env(c, pod); err != nil {
		return out, err
	}
	out.Resources, err = r.resources(c.Resources)
	return out, err
}

// resources parses a container's requests and limits. As in Kubernetes, a limit
// without a request is the request too.
func (r render) resources(spec Resources) (runner.Resources, error) {
	var out runner.Resources
	for _, f := range []struct {
		what  string
		text  Text
		parse func(string) (int64, error)
		into  *int64
	}{
		{"CPU request", spec.CPURequest, parseCPU, &out.CPU},
		{"CPU limit", spec.CPULimit, parseCPU, &out.CPULimit},
		{"memory request", spec.MemoryRequest, parseMemory, &out.Memory},
		{"memory limit", spec.MemoryLimit, parseMemory, &out.MemoryLimit},
	} {
		text, err := r.text(f.text)
		if err != nil || text == "" {
			if err != nil {
				return out, fmt.Errorf("%s: %w", f.what, err)
			}
			continue
		}
		if *f.into, err = f.parse(text); err != nil {
			return out, fmt.Errorf("%s: %w", f.what, err)
		}
	}
	if out.CPU == 0 {
		out.CPU = out.CPULimit
	}
	if out.Memory == 0 {
		out.Memory = out.MemoryLimit
	}
	count, err := r.text(spec.AcceleratorCount)
	if err != nil || count == "" || count == "0" {
		return out, err
	}
	if out.GPU, err = parseCount(count); err != nil {
		return out, fmt.Errorf("accelerator count: %w", err)
	}
	return out, nil
}

// addResources adds the requests of one more container to a pod's.
func addResources(a, b runner.Resources) runner.Resources {
	a.CPU += b.CPU
	a.Memory += b.Memory
	a.GPU += b.GPU
	return a
}

// containerName is the name of a container; that of a pod's only one may be left out.
func containerName(c *Container) string {
	if c.Name == "" {
		return "main"
	}
	return c.Name
}
