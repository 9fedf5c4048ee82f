package kfp

import (
	"math"
	"slices"

	"github.com/wherry-ml/wherry/dag/source"
	"go.yaml.in/yaml/v3"
)

// maxExpansion is how many values the aliases of a document may add. The
// compiler writes none; what a value of this format becomes is much larger than
// the value, so that the reader's own limit would cost gigabytes.
const maxExpansion = 100_000

// checkExpansion refuses a document whose aliases expand to too much.
func (t *translator) checkExpansion(doc *yaml.Node) error {
	if !hasAlias(doc) {
		return nil
	}
	written := 0
	sizes := map[*yaml.Node]int{} // with aliases followed
	var size func(n *yaml.Node) int
	size = func(n *yaml.Node) int {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if s, ok := sizes[n]; ok {
			return s
		}
		sizes[n] = math.MaxInt32 // while it is open: one that holds itself is endless
		written++
		total := 1
		for _, c := range n.Content {
			total = min(total+size(c), math.MaxInt32)
		}
		sizes[n] = total
		return total
	}
	if total := size(doc); total-written > maxExpansion {
		return t.errorf(source.PosOf(doc), "aliases expand to more than %d values", maxExpansion)
	}
	return nil
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}
