package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// projectText is wherry.yaml with the places that its paths have in the bundle.
func (b *bundleFiles) projectText(proj *project) ([]byte, error) {
	text, err := os.ReadFile(proj.File)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		return text, nil // only comments
	}
	base := filepath.Dir(proj.File)
	here := filepath.Dir(filepath.Join(b.dir, b.place(proj.File)))
	changed := false
	move := func(n *yaml.Node, rest string) {
		path := strings.TrimSuffix(n.Value, rest)
		if path == "" {
			return
		}
		if tail, ok := strings.CutPrefix(path, "~"); ok {
			home, _ := os.UserHomeDir()
			path = home + tail
		}
		rel, err := filepath.Rel(here, filepath.Join(b.dir, b.place(relativeTo(base, path))))
		if err == nil && filepath.Clean(path) != rel {
			n.SetString(rel + rest)
			changed = true
		}
	}
	root := doc.Content[0]
	eachField(root, "mounts", func(_ string, n *yaml.Node) {
		if _, target, ok := strings.Cut(n.Value, ":"); ok {
			move(n, ":"+target)
		}
	})
	eachField(root, "build", func(_ string, spec *yaml.Node) {
		for i := 0; i+1 < len(spec.Content); i += 2 {
			key, value := spec.Content[i].Value, spec.Content[i+1]
			if value.Kind == yaml.ScalarNode && (key == "context" || key == "requirements") {
				move(value, "")
			}
		}
	})
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "trust" && root.Content[i+1].Kind == yaml.ScalarNode {
			move(root.Content[i+1], "")
		}
	}
	if !changed {
		return text, nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err = enc.Encode(&doc)
	return out.Bytes(), errors.Join(err, enc.Close())
}

// eachField calls f for the entries of a list or mapping in a mapping.
func eachField(root *yaml.Node, name string, f func(key string, value *yaml.Node)) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != name {
			continue
		}
		switch n := root.Content[i+1]; n.Kind {
		case yaml.SequenceNode:
			for _, item := range n.Content {
				f("", item)
			}
		case yaml.MappingNode:
			for j := 0; j+1 < len(n.Content); j += 2 {
				f(n.Content[j].Value, n.Content[j+1])
			}
		}
	}
}
