package dag

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/given"
)

// givenParts adds to a cache key what a pod gets of secrets, config maps, claims and
// the workspace: of a secret its name and keys, never a value; of a config map its
// content; of a claim its name, because its content changes.
func (r render) givenParts(parts map[string]string) {
	pod := r.node.comp.Pod
	use := func(kind VolumeKind, src *Source, what string) {
		name, ok, err := r.named(src)
		if err != nil || !ok {
			return
		}
		parts[fmt.Sprintf("%s %s of %s", kind, what, name)] = r.givenPart(kind, name)
	}
	for _, v := range pod.Volumes {
		if v.Kind != VolumeEmpty {
			use(v.Kind, v.From, "volume")
		}
	}
	for _, c := range pod.Containers {
		for _, e := range c.Env {
			if e.From != nil && e.From.Kind != "" {
				use(e.From.Kind, e.From.Name, "env")
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

// mountParts adds to a cache key where volumes are mounted, and what field paths see.
func mountParts(parts map[string]string, pod *Pod) {
	for _, c := range pod.Containers {
		for _, m := range c.Mounts {
			parts["volume at "+m.Path] = short(m.Volume + " " + m.SubPath)
		}
	}
	if pod.Metadata != nil {
		parts["metadata"] = short(jsonText(pod.Metadata))
	}
}
