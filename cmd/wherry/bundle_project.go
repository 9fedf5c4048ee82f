package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// projectText is the wherry.yaml at a path with the places that its paths have in
// the bundle, and with the images that are named by a digest. Where nothing is
// different it is the same text.
func (b *bundleFiles) projectText(at string) ([]byte, error) {
	text, err := os.ReadFile(at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 { // only comments, or not there
		if len(b.pinned) == 0 {
			return text, nil
		}
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	m := &mover{b: b, base: filepath.Dir(at), here: filepath.Dir(filepath.Join(b.dir, b.place(at)))}
	root := doc.Content[0]
	m.paths(root)
	m.pin(root)
	if !m.changed {
		return text, nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err = enc.Encode(&doc)
	return out.Bytes(), errors.Join(err, enc.Close())
}

// mover changes a wherry.yaml for its place in a bundle.
type mover struct {
	b       *bundleFiles
	base    string // its folder on this machine
	here    string // its folder in the bundle
	changed bool
}

// paths moves the paths of mounts, builds and trust.
func (m *mover) paths(root *yaml.Node) {
	eachField(root, "mounts", func(_ string, n *yaml.Node) {
		if _, target, ok := strings.Cut(n.Value, ":"); ok {
			m.move(n, ":"+target)
		}
	})
	eachField(root, "build", func(_ string, spec *yaml.Node) {
		for _, name := range []string{"context", "requirements"} {
			if value := scalarField(spec, name); value != nil {
				m.move(value, "")
			}
		}
	})
	if value := scalarField(root, "trust"); value != nil {
		m.move(value, "")
	}
}

// move changes the path in n, behind which rest stands.
func (m *mover) move(n *yaml.Node, rest string) {
	path := strings.TrimSuffix(n.Value, rest)
	if path == "" {
		return
	}
	full := path
	if tail, ok := strings.CutPrefix(path, "~"); ok {
		home, _ := os.UserHomeDir()
		full = home + tail
	}
	rel, err := filepath.Rel(m.here, filepath.Join(m.b.dir, m.b.place(relativeTo(m.base, full))))
	if err == nil && filepath.Clean(path) != rel {
		n.SetString(rel + rest)
		m.changed = true
	}
}

// pin says under images what a name by digest means where no registry is.
func (m *mover) pin(root *yaml.Node) {
	if len(m.b.pinned) == 0 {
		return
	}
	m.changed = true
	var images *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "images" && root.Content[i+1].Kind == yaml.MappingNode {
			images = root.Content[i+1]
		}
	}
	if images == nil {
		images = &yaml.Node{Kind: yaml.MappingNode}
		root.Content = append(root.Content, textNode("images"), images)
	}
	for _, name := range sortedNames(m.b.pinned) {
		images.Content = append(images.Content, textNode(name), textNode(m.b.pinned[name]))
	}
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
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
