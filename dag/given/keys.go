package given

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readKeys takes the keys of a file by its name: those of an .env file, of a YAML or
// JSON mapping or a Kubernetes manifest; any other file is one key of its own name.
func readKeys(path string, data []byte) (map[string][]byte, error) {
	base := filepath.Base(path)
	switch ext := filepath.Ext(base); {
	case ext == ".env" || base == ".env":
		return readEnv(data)
	case ext == ".yaml" || ext == ".yml" || ext == ".json":
		return readMapping(data)
	case !goodKey(base):
		return nil, fmt.Errorf("its name can't be a key; say which: NAME/KEY=FILE")
	}
	return map[string][]byte{base: data}, nil
}

// readEnv reads KEY=VALUE lines. Quotes around a value are taken off; there are
// neither escapes nor variables in it.
func readEnv(data []byte) (map[string][]byte, error) {
	values := map[string][]byte{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || !goodKey(key) {
			return nil, fmt.Errorf("line %d is not KEY=VALUE", i+1)
		}
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		values[key] = []byte(value)
	}
	return values, nil
}

// errMapping says what a YAML or JSON file must hold; the reader's own words would
// quote a value.
var errMapping = errors.New("it is no mapping of keys to text, and no Kubernetes Secret or ConfigMap")

func readMapping(data []byte) (map[string][]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errMapping
	}
	fields, err := entries(doc.Content[0])
	if err != nil {
		return nil, err
	}
	kind := fields["kind"]
	if kind == nil || fields["apiVersion"] == nil || kind.Value != "Secret" && kind.Value != "ConfigMap" {
		return texts(fields)
	}
	values := map[string][]byte{}
	// Kubernetes lets stringData win over data.
	for _, part := range []struct {
		field   string
		encoded bool
	}{{"data", kind.Value == "Secret"}, {"binaryData", true}, {"stringData", false}} {
		if fields[part.field] == nil {
			continue
		}
		inner, err := entries(fields[part.field])
		if err != nil {
			return nil, err
		}
		read, err := texts(inner)
		if err != nil {
			return nil, err
		}
		for key, value := range read {
			if part.encoded {
				if value, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(value))); err != nil {
					return nil, fmt.Errorf("key %q of its %s is not base64", key, part.field)
				}
			}
			values[key] = value
		}
	}
	return values, nil
}

func entries(n *yaml.Node) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errMapping
	}
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[n.Content[i].Value] = n.Content[i+1]
	}
	return out, nil
}

// texts takes values as they are written: 08 stays 08, and yes stays yes.
func texts(fields map[string]*yaml.Node) (map[string][]byte, error) {
	values := map[string][]byte{}
	for key, n := range fields {
		switch {
		case !goodKey(key):
			return nil, fmt.Errorf("%q can't be a key", key)
		case n.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("the value of key %q is no text", key)
		}
		values[key] = []byte(n.Value)
	}
	return values, nil
}
