package kfp

import (
	"github.com/wherry-ml/wherry/dag/source"
	"go.yaml.in/yaml/v3"
)

// Keys that say what a document is, by how much they say. Of the keys that other
// formats have too it takes two.
var (
	strongKeys = []string{"pipelineInfo", "deploymentSpec", "pipelineSpec", "pipeline_spec", "platforms", "sdkVersion"}
	weakKeys   = []string{"components", "root", "schemaVersion", "defaultPipelineRoot"}
)

// Sniff reports whether the document is meant to be IR, also where a field of it
// is misspelt: Read then names the field.
func Sniff(doc *yaml.Node) bool {
	if doc == nil || doc.Kind != yaml.MappingNode {
		return false
	}
	score := 0
	for i := 0; i+1 < len(doc.Content); i += 2 {
		switch key := doc.Content[i].Value; {
		case key == "apiVersion" || key == "kind":
			return false
		case like(key, strongKeys):
			score += 2
		case like(key, weakKeys):
			score++
		}
	}
	return score >= 2
}

func like(key string, words []string) bool {
	for _, w := range words {
		if key == w {
			return true
		}
	}
	return len(key) > 4 && source.Nearest(key, append([]string(nil), words...)) != ""
}
