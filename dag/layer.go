package dag

import (
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// layered reports whether what c installs is installed ahead: not where layers are
// off, nor where only the run will tell what pip's settings are.
func (c *Container) layered(o RunOptions) bool {
	return c.Layer != nil && !o.NoLayers && !slices.ContainsFunc(c.Env, func(e EnvVar) bool {
		return strings.HasPrefix(e.Name, "PIP_") && !e.literal()
	})
}

// literal reports whether e's value is known from the file.
func (e EnvVar) literal() bool {
	return e.From == nil && !slices.ContainsFunc(e.Value, func(p Part) bool { return p.Ref != nil })
}

// command is what runs: without what the layer holds, where there is one.
func (c *Container) command(o RunOptions) []Arg {
	if c.layered(o) {
		return c.Command[c.Layer.Words:]
	}
	return c.Command
}

// layer returns the layer that c's command needs; nil where it needs none. The
// settings of pip among the container's variables are the layer's too.
func (c *Container) layer(o RunOptions) *runner.Layer {
	if !c.layered(o) {
		return nil
	}
	l := &runner.Layer{Installs: c.Layer.Installs, Venv: c.Layer.Venv}
	env := slices.Clone(o.Env)
	for _, e := range c.Env {
		if e.literal() {
			env = append(env, runner.EnvVar{Name: e.Name, Value: e.Value.literal()})
		}
	}
	for _, e := range env {
		if runner.LayerEnv(e.Name) {
			l.Env = slices.DeleteFunc(l.Env, func(old runner.EnvVar) bool { return old.Name == e.Name })
			l.Env = append(l.Env, e)
		}
	}
	return l
}

// literal is a text without placeholders.
func (t Text) literal() string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.Text)
	}
	return b.String()
}

// joinLayers is one layer with the installs of all; nil of none.
func joinLayers(layers []*runner.Layer) *runner.Layer {
	if len(layers) == 0 {
		return nil
	}
	all := &runner.Layer{}
	for _, l := range layers {
		all.Installs = append(all.Installs, l.Installs...)
		all.Venv = all.Venv || l.Venv
		all.Env = append(all.Env, l.Env...)
	}
	return all
}

// layerParts are the parts of a cache key that name what layers add: a package
// by its name, so that a miss can say "requirement pandas: ==2.2.2 -> ==2.2.3",
// and in the end all of it.
func layerParts(parts map[string]string, prefix string, layers []*runner.Layer) {
	var digests []string
	for _, l := range layers {
		digests = append(digests, l.Digest())
		for _, args := range l.Installs {
			s := runner.Split(args)
			for _, p := range s.Packages {
				addPart(parts, prefix+"requirement "+runner.RequirementName(p), strings.TrimPrefix(p, runner.RequirementName(p)))
			}
			addPart(parts, prefix+"requirement options", strings.Join(s.Options, " "))
		}
		addPart(parts, prefix+"requirement settings", strings.Join(l.Settings(), " "))
	}
	if len(digests) > 0 {
		parts[prefix+"requirements in all"] = strings.Join(digests, " ")
	}
}

// addPart adds to what a part says already. A package of any version has a part
// too.
func addPart(parts map[string]string, name, value string) {
	if value == "" && strings.HasSuffix(name, " options") || value == "" && strings.HasSuffix(name, " settings") {
		return
	}
	if value == "" {
		value = "any version"
	}
	if old := parts[name]; old != "" && old != value {
		value = old + " " + value
	}
	parts[name] = short(value)
}
