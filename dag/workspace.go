package dag

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// workspacePath is where containers of the run find its workspace.
func workspacePath(run *Run) string {
	if run.Options.Workspace != "" {
		return run.Options.Workspace
	}
	return DefaultWorkspace
}

// inWorkspace reports whether the task uses the run's workspace: its container
// names it, an input value does, or an input artifact lies there. As on a cluster,
// other tasks don't mount it.
func (r render) inWorkspace() bool {
	for i := range r.node.comp.Pod.Containers {
		if r.node.comp.Pod.Containers[i].names(RefWorkspace) {
			return true
		}
	}
	if r.run == nil || r.run.Pipeline == nil || !r.run.Pipeline.Workspace {
		return false
	}
	at := workspacePath(r.run)
	for _, x := range r.inputs().Parameters {
		if mentions(x, at) {
			return true
		}
	}
	for _, list := range r.inputs().Artifacts {
		if slices.ContainsFunc(list, inWorkspace) {
			return true
		}
	}
	return false
}

// mentions reports whether text is in a string anywhere in x.
func mentions(x any, text string) bool {
	switch x := x.(type) {
	case string:
		return strings.Contains(x, text)
	case []any:
		return slices.ContainsFunc(x, func(e any) bool { return mentions(e, text) })
	case map[string]any:
		for _, e := range x {
			if mentions(e, text) {
				return true
			}
		}
	}
	return false
}

// names reports whether the container has a placeholder of this kind.
func (c *Container) names(kind RefKind) bool {
	has := func(t Text) bool {
		return slices.ContainsFunc(t, func(p Part) bool { return p.Ref != nil && p.Ref.Kind == kind })
	}
	var arg func(a Arg) bool
	arg = func(a Arg) bool {
		if i := a.IfPresent; i != nil && (slices.ContainsFunc(i.Then, arg) || slices.ContainsFunc(i.Else, arg)) {
			return true
		}
		return has(a.Text) || slices.ContainsFunc(a.Concat, arg)
	}
	return slices.ContainsFunc(c.Command, arg) || slices.ContainsFunc(c.Args, arg) ||
		slices.ContainsFunc(c.Env, func(e EnvVar) bool { return has(e.Value) })
}

// inWorkspace reports whether containers see the artifact in the workspace.
func inWorkspace(a Artifact) bool {
	marked, _ := a.Metadata[workspaceMark].(bool)
	return marked
}

// inputPath is where a container finds an input artifact: where KFP's own code looks
// for its URI, in the workspace or not.
func (r render) inputPath(a Artifact) string {
	if !inWorkspace(a) {
		return r.containerPath(a)
	}
	return path.Join(workspacePath(r.run), ".artifacts", artifactPath(a.URI))
}

// clearWorkspace deletes the workspace of a run whose tasks have ended, once. As on a
// cluster, that of a failed run stays, for who looks into it. It reports whether
// the run's end must wait for that.
func (d *drive) clearWorkspace() bool {
	remover, ok := d.Backend.(runner.VolumeRemover)
	if d.cleared || !ok || !d.run.Pipeline.Workspace {
		return false
	}
	d.cleared = true
	if state, _ := d.root.result(); state == Failed || d.expired {
		return false
	}
	d.cleaning++
	d.spawn(func() func() {
		err := d.removeVolume(remover, volumeName(d.HomeID, "workspace", d.run.ID))
		return func() {
			d.cleaning--
			if err != nil && !d.unavailable(err) {
				d.note("%v", fmt.Errorf("remove the workspace: %w", err))
			}
		}
	})
	return true
}
