package dag

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag/given"
)

// givenParts adds to a cache key what a pod gets of secrets, config maps, claims and
// the workspace: of a secret its name and keys, never a value; of a config map its
// content; of a claim its name, because its content changes.
func (r render) givenParts(parts map[string]string) {
	pod := r.node.comp.Pod
	use := func(kind VolumeKind, src *Source, what string) string {
		name, ok, err := r.named(src)
		if err != nil || !ok {
			return ""
		}
		parts[fmt.Sprintf("%s %s of %s", kind, what, name)] = r.givenPart(kind, name)
		return name
	}
	for _, v := range pod.Volumes {
		name := ""
		if v.Kind != VolumeEmpty {
			name = use(v.Kind, v.From, "volume")
		}
		parts["volume "+v.Name] = short(jsonText([]any{v.Kind, name, v.Memory, v.Size}))
	}
	for i := range pod.Containers {
		c := &pod.Containers[i]
		for _, e := range c.Env {
			if e.From != nil && e.From.Kind != "" {
				parts[pod.prefix(c)+"env "+e.Name+" from"] = use(e.From.Kind, e.From.Name, "env")
			}
		}
	}
	if r.inWorkspace() {
		parts["workspace"] = r.run.ID // of no other run
	}
}

func (r render) givenPart(kind VolumeKind, name string) string {
	refs := givenOf(r.run, kind)
	values, err := given.Read(refs, name)
	switch {
	case kind == VolumeClaim:
		return name
	case !given.Has(refs, name):
		return "not given"
	case err != nil:
		return "can't be read"
	case kind == VolumeSecret:
		return short(strings.Join(slices.Sorted(maps.Keys(values)), " "))
	}
	return digestOf(jsonText(values))
}

// keyText stands for the variable in a cache key.
func (e EnvVar) keyText() string {
	if e.From == nil {
		return jsonText(e.Value)
	}
	return jsonText([]any{e.From.Kind, e.From.Key, e.From.Field})
}

// prefix stands before the names of the parts of a container, where there are
// several.
func (p *Pod) prefix(c *Container) string {
	if len(p.Containers) > 1 {
		return c.Name + " "
	}
	return ""
}

// mountParts adds to a cache key where volumes are mounted, in what order containers
// run, and what field paths see.
func mountParts(parts map[string]string, pod *Pod) {
	var order []any
	for i := range pod.Containers {
		c := &pod.Containers[i]
		for _, m := range c.Mounts {
			parts[pod.prefix(c)+"volume at "+m.Path] = short(jsonText([]any{m.Volume, m.SubPath, m.ReadOnly}))
		}
		order = append(order, []any{c.Name, c.Role, c.After})
	}
	if len(order) > 1 {
		parts["containers"] = short(jsonText(order))
	}
	if pod.Metadata != nil {
		parts["metadata"] = short(jsonText(pod.Metadata))
	}
}

// configPart adds to a cache key what inputs of TypeTaskConfig receive: they are no
// part of the execution's record. What names the run stays out.
func configPart(parts map[string]string, run *Run, n *node) {
	if n.comp.Pod.TaskConfig == nil {
		return
	}
	some, own := *run, *n
	some.ID, some.Name, some.Created = "", "", time.Time{}
	exec := *n.exec
	exec.ID = 0
	own.exec = &exec
	config, err := render{run: &some, node: &own}.own(n.comp.Pod.TaskConfig)
	if err != nil { // then they receive nothing, see withTaskConfig
		return
	}
	parts["task config"] = short(jsonText(config))
}
