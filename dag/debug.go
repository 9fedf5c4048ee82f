package dag

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// Debug is a pod for a person who looks into a step: its own image, variables,
// mounts, secrets and inputs at the same paths, and an outputs directory of its own.
type Debug struct {
	Pod       runner.Pod
	Container string   // that of the step's command
	Image     string   // of it, as the file names it
	Script    string   // path in it of a shell script that runs the step's own command
	Outputs   string   // path in it of the outputs directory; gone with the pod
	Volumes   []string // named ones that nobody else has any more: to be removed with the pod
}

// debugNumber is what stands for an attempt's number in the paths of debug pods: no
// execution has so many attempts.
const debugNumber = 1 << 40

// debugWait keeps a container until it is told to end.
const debugWait = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"

// Debug makes the pod of a debug session for execution x of a run. The step's own
// command runs in it; or, with wait, nothing does, until somebody runs a command
// there. It makes nothing on the backend but images. number tells the sessions of one
// home apart.
func (d *Driver) Debug(ctx context.Context, run *Run, executions []*Execution, x *Execution, session string, number int64, wait bool) (*Debug, error) {
	ops, stop := context.WithCancel(ctx)
	dr := &drive{
		Driver: d, run: run, ops: ops, events: make(chan func(), 64), images: map[imageKey]*imageCall{}, noted: map[string]bool{}, byID: map[int64]*node{},
	}
	defer func() {
		dr.over = true
		stop()
		dr.drainAll()
	}()
	n, err := dr.look(executions, x.ID)
	if err != nil {
		return nil, err
	}
	if err := dr.awaitImages(ctx, n); err != nil {
		return nil, err
	}
	return dr.debugPod(n, session, debugNumber+number, wait)
}

// look brings the drive to where the stored executions stand, without going on with
// them, and returns the node of one.
func (d *drive) look(executions []*Execution, id int64) (*node, error) {
	children := map[int64][]*Execution{}
	for _, x := range executions {
		children[x.Parent] = append(children[x.Parent], x)
	}
	d.root = newScope(d.setting(), nil, d.run.Pipeline.Components[d.run.Pipeline.Root], Values{Parameters: d.run.Parameters})
	if err := d.rebuild(d.root, children); err != nil {
		return nil, err
	}
	n := d.byID[id]
	if n == nil || n.comp.Pod == nil {
		return nil, fmt.Errorf("execution %d is no container of run %s", id, d.run.ID)
	}
	return n, nil
}

// awaitImages looks up the images of n's containers, and makes their layers.
func (d *drive) awaitImages(ctx context.Context, n *node) error {
	done, failed := false, error(nil)
	d.haveImages(n, func(err error) { done, failed = true, err })
	for !done {
		select {
		case apply := <-d.events:
			apply()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return failed
}

func (d *drive) debugPod(n *node, session string, number int64, wait bool) (*Debug, error) {
	pod, err := buildPod(d.run, n, number, d.Home, d.HomeID, nil)
	if err != nil {
		return nil, err
	}
	d.clamp(n, pod)
	pod.Name = "wherry-" + d.HomeID + "-debug-" + session
	pod.Labels = map[string]string{runner.LabelHome: d.HomeID, runner.LabelDebug: session}
	r := render{run: d.run, node: n, dir: attemptDir(d.Home, d.run.ID, n.exec.ID, number)}
	out := &Debug{Outputs: r.dir}
	if r.inWorkspace() && d.run.State == Succeeded { // the run's end has removed it
		out.Volumes = append(out.Volumes, volumeName(d.HomeID, "workspace", d.run.ID))
	}
	i := slices.IndexFunc(pod.Containers, func(c runner.Container) bool { return c.Role == runner.Main })
	c := &pod.Containers[i]
	out.Container, out.Image = c.Name, orElse(n.image[i].Name, c.Image)
	if wait {
		pod.Outputs, pod.Deadline = nil, 0
		out.Script = r.dir + ".step/step.sh"
		v := runner.Volume{Name: "step", Files: map[string]runner.File{"step.sh": {Data: []byte(stepScript(*c, n.image[i].Image, r.dir))}}}
		pod.Volumes = append(pod.Volumes, v)
		c.Mounts = append(c.Mounts, runner.Mount{Volume: v.Name, Path: r.dir + ".step", ReadOnly: true})
		words := slices.Concat([]string{"step"}, c.Command, c.Args)
		c.Command, c.Args, c.After = []string{"sh", "-c", debugWait}, nil, nil
		if !d.Backend.Features().Images { // the environment is made for what is run in it
			c.Args = words
		}
		main := c.Name
		pod.Containers = slices.DeleteFunc(pod.Containers, func(other runner.Container) bool { return other.Role == runner.Main && other.Name != main })
	}
	out.Pod = pod
	return out, nil
}

// stepScript runs the command of a container as the engine would.
func stepScript(c runner.Container, image runner.Image, outputs string) string {
	words := slices.Concat(c.Command, c.Args)
	if len(c.Command) == 0 {
		words = slices.Concat(image.Entrypoint, c.Args)
		if len(c.Args) == 0 {
			words = slices.Concat(image.Entrypoint, image.Cmd)
		}
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return "#!/bin/sh\n# The step's own command. Its outputs go to " + outputs + "\nexec " + strings.Join(quoted, " ") + "\n"
}
