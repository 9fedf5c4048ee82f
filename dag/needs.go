package dag

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/given"
)

// GivenError says which secrets and config maps a pipeline needs that were not given.
type GivenError struct{ Needs []GivenNeed }

// GivenNeed is one secret or config map that a pipeline needs.
type GivenNeed struct {
	Kind VolumeKind
	Name string
	Keys []string // that are asked for by name
	All  bool     // all that it has are mounted
	Has  []string // the keys that it has, where it was given
}

func missing(kind VolumeKind, name string, keys ...string) *GivenError {
	return &GivenError{Needs: []GivenNeed{{Kind: kind, Name: name, Keys: keys}}}
}

func (e *GivenError) Error() string {
	var words []string
	for _, n := range e.Needs {
		words = append(words, n.String())
	}
	return strings.Join(words, "; ")
}

func (n GivenNeed) String() string {
	keys := "key"
	if len(n.Keys) > 1 {
		keys = "keys"
	}
	keys += " " + strings.Join(n.Keys, ", ")
	switch {
	case n.Has != nil:
		return fmt.Sprintf("%s %q has no %s (it has %s)", n.Kind, n.Name, keys, strings.Join(n.Has, ", "))
	case len(n.Keys) == 0:
		return fmt.Sprintf("%s %q was not given", n.Kind, n.Name)
	}
	return fmt.Sprintf("%s %q (%s) was not given", n.Kind, n.Name, keys)
}

// Hint says how to give them.
func (e *GivenError) Hint() string {
	var flags []string
	fields := map[string]bool{}
	for _, n := range e.Needs {
		flag, field := "--secret", "secrets"
		if n.Kind == VolumeConfigMap {
			flag, field = "--config-map", "configMaps"
		}
		name := n.Name
		if len(n.Keys) == 1 && !n.All {
			name += "/" + n.Keys[0]
		}
		flags = append(flags, fmt.Sprintf("%s %s=FILE", flag, name))
		fields[field] = true
	}
	return fmt.Sprintf("%s, or %s: in wherry.yaml; wherry run --help says what FILE can be",
		strings.Join(flags, " "), strings.Join(slices.Sorted(maps.Keys(fields)), ": and "))
}

// CheckGiven returns a *GivenError for what the pipeline is sure to need of secrets
// and config maps and was not given, and an error for what can't be read. Names that
// only a run computes are looked at then.
func CheckGiven(p *Pipeline, o RunOptions) error {
	r := render{run: &Run{Options: o}}
	var e GivenError
	for _, n := range p.given() {
		values, there, err := r.given(n.Kind, n.Name)
		if err != nil {
			return err
		}
		if !there {
			e.Needs = append(e.Needs, n)
			continue
		}
		n.Keys = slices.DeleteFunc(n.Keys, func(key string) bool { _, has := values[key]; return has })
		if n.Has = slices.Sorted(maps.Keys(values)); len(n.Keys) > 0 {
			e.Needs = append(e.Needs, n)
		}
	}
	if len(e.Needs) > 0 {
		return &e
	}
	return nil
}

// given returns the secrets and config maps that the file names and that are not
// optional, secrets last, in order.
func (p *Pipeline) given() []GivenNeed {
	type id struct {
		kind VolumeKind
		name string
	}
	keys := map[id]map[string]bool{}
	add := func(kind VolumeKind, src *Source, key string) {
		if name, ok, _ := (render{}).named(src); ok {
			at := id{kind, name}
			if keys[at] == nil {
				keys[at] = map[string]bool{}
			}
			keys[at][key] = true
		}
	}
	for _, c := range p.Components {
		if c.Pod == nil {
			continue
		}
		for _, v := range c.Pod.Volumes {
			if !v.Optional && (v.Kind == VolumeSecret || v.Kind == VolumeConfigMap) {
				add(v.Kind, v.From, "")
			}
		}
		for _, container := range c.Pod.Containers {
			for _, e := range container.Env {
				if f := e.From; f != nil && f.Kind != "" && !f.Optional {
					add(f.Kind, f.Name, f.Key)
				}
			}
		}
	}
	var needs []GivenNeed
	for at, set := range keys {
		all := set[""]
		delete(set, "")
		needs = append(needs, GivenNeed{Kind: at.kind, Name: at.name, Keys: slices.Sorted(maps.Keys(set)), All: all})
	}
	slices.SortFunc(needs, func(a, b GivenNeed) int {
		return strings.Compare(string(a.Kind)+a.Name, string(b.Kind)+b.Name)
	})
	return needs
}

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
