package dag

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/redact"
)

// keyParts returns what decides the result of an execution, by name: the image's
// identity, command, args and env with placeholders unresolved, input values,
// digests of input artifacts and mounted sources, where outputs are read and of
// what type, and for each dependency that hands on no data that dependency's own
// key. Never time, names, host paths or secrets.
func keyParts(run *Run, n *node) map[string]string {
	parts := map[string]string{}
	for _, e := range run.Options.Env { // a container's own of the same name wins, here as in the pod
		parts["env "+e.Name] = short(jsonText(e.Value))
		if e.Secret {
			parts["env "+e.Name] = "a secret"
		}
	}
	for i, c := range n.comp.Pod.Containers {
		prefix := n.comp.Pod.prefix(&c)
		layerParts(parts, prefix, n.image[i].layers)
		parts[prefix+"image"] = n.image[i].Identity
		if n.image[i].base != "" {
			parts[prefix+"image"] = n.image[i].base
		}
		parts[prefix+"command"] = short(jsonText(c.command(run.Options)))
		parts[prefix+"args"] = short(jsonText(c.Args))
		parts[prefix+"workdir"] = c.WorkDir
		parts[prefix+"user"] = c.User
		for _, e := range c.Env {
			parts[prefix+"env "+e.Name] = short(e.keyText())
		}
	}
	for _, m := range run.Options.Mounts {
		if m.ReadOnly {
			parts[mountPart(m.Target)] = m.keyText()
		}
	}
	for _, d := range n.comp.Pod.Directories {
		parts["directory "+d.Path] = d.Name
	}
	for name, o := range n.comp.Outputs.Parameters {
		parts["output parameter "+name] = short(jsonText([]any{o.Type, o.From}))
	}
	for name, o := range n.comp.Outputs.Artifacts {
		parts["output artifact "+name] = short(jsonText([]any{o.Type, o.Path, o.Metadata}))
	}
	render{run: run, node: n}.givenParts(parts)
	mountParts(parts, n.comp.Pod)
	configPart(parts, run, n)
	parts["platform"] = run.Options.Platform
	parts["format key"] = n.task.CacheKey
	if !n.task.Cache && run.Options.Cache != CacheOn { // what the format does not remember, others must not find
		parts["caching"] = "off"
	}
	inputParts(parts, n)
	for k, v := range parts {
		if v == "" {
			delete(parts, k)
		}
	}
	return parts
}

func inputParts(parts map[string]string, n *node) {
	for name, x := range n.exec.Inputs.Parameters {
		parts["parameter "+name] = short(jsonText(x))
	}
	for name, list := range n.exec.Inputs.Artifacts {
		var ids []string
		for _, a := range list {
			id := a.Digest
			if id == "" {
				id = a.URI // not in our store: its name is all we know
				if filepath.IsAbs(id) {
					id = "never written"
				}
			}
			ids = append(ids, id+" "+short(jsonText(a.Metadata)))
		}
		parts["artifact "+name] = short(strings.Join(ids, " "))
	}
	up := ""
	for p := n; p != nil && p.parent != nil; p = p.parent.owner { // a group's dependencies are those of all in it
		for _, dep := range p.task.dependencies() {
			if !p.task.readsFrom(dep) {
				parts["after "+up+dep] = p.parent.nodes[dep].identity()
			}
		}
		up += "../"
	}
}

// readsFrom reports whether an input of t comes from task dep.
func (t *Task) readsFrom(dep string) bool {
	seen := map[string]bool{}
	for _, sources := range []map[string]*Source{t.Parameters, t.Artifacts} {
		for _, s := range sources {
			s.tasks(seen)
		}
	}
	if t.Iterate != nil {
		t.Iterate.Items.tasks(seen)
	}
	return seen[dep]
}

// identity stands for what a task that has ended did: its own key, or those of
// all tasks in it.
func (n *node) identity() string {
	switch {
	case n.exec.Key != "":
		return n.exec.Key
	case n.inner == nil:
		return short(string(n.exec.State) + jsonText(n.exec.Outputs))
	case n.ident == "":
		var ids []string
		for _, inner := range n.inner.order {
			ids = append(ids, fmt.Sprintf("%s[%d] %s", inner.exec.Task, inner.exec.Iteration, inner.identity()))
		}
		n.ident = short(strings.Join(ids, "\n"))
	}
	return n.ident
}

// short returns text itself, or its digest where it is long; without passwords.
func short(text string) string {
	text = redact.Key(text)
	if len(text) <= 120 {
		return text
	}
	return digestOf(text)
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// cacheKey returns the digest of the parts.
func cacheKey(parts map[string]string) string {
	var b strings.Builder
	for _, name := range sortedKeys(parts) {
		fmt.Fprintf(&b, "%d:%s=%d:%s\n", len(name), name, len(parts[name]), parts[name])
	}
	return digestOf(b.String())
}

// telling are the kinds of a key's parts, those that say most to people first.
var telling = []string{"parameter ", "artifact ", "mount ", "image", "command", "args", "env ", "requirement ", "after ", ""}

// explainMiss says why an execution runs: what changed since last, the parts of
// the newest execution of the same path. The most telling change comes first. told
// says more of a part than its two values, or ""; may be nil.
func explainMiss(last, now map[string]string, told func(part, before, now string) string) string {
	names := differing(last, now)
	for _, prefix := range telling {
		for _, name := range names {
			if !strings.HasPrefix(name, prefix) || last[name] == now[name] {
				continue
			}
			if told != nil {
				if text := told(name, last[name], now[name]); text != "" {
					return text
				}
			}
			if before, ok := strings.CutPrefix(name, "after "); ok && last[name] != "" && now[name] != "" {
				return fmt.Sprintf("after %s, which did something else", before)
			}
			if code := name[strings.LastIndexByte(name, ' ')+1:]; (code == "args" || code == "command") && isDigest(last[name]) && isDigest(now[name]) {
				return "its code has changed (wherry explain shows the line)"
			}
			return fmt.Sprintf("%s: %s -> %s", name, partWord(last[name]), partWord(now[name]))
		}
	}
	return "nothing to reuse: its last execution has not succeeded"
}

func isDigest(part string) bool { return strings.HasPrefix(part, "sha256:") }

func partWord(s string) string {
	switch {
	case s == "":
		return "(none)"
	case strings.HasPrefix(s, "sha256:") && len(s) > 19:
		return s[:19]
	case strings.HasPrefix(s, liveWord+"sha256:"):
		return liveWord + partWord(s[len(liveWord):])
	}
	return clip(s, 60)
}

// differing lists the names, in order, that only one of two maps has, or of which they
// say not the same.
func differing(a, b map[string]string) []string {
	return slices.DeleteFunc(sortedKeys(union(a, b)), func(name string) bool {
		x, inA := a[name]
		y, inB := b[name]
		return inA == inB && x == y
	})
}

func union[V any](a, b map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
