package dag

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// maxOutputName is the longest name of an output that a container writes, in
// bytes: it is the name of a file, after "parameter-".
const maxOutputName = 200

// names refuses inputs and outputs whose names lead elsewhere as a path: what a
// container writes lies in a file of the output's name.
func (v *validator) names(c *Component) error {
	check := func(kind, name string, pos source.Pos) error {
		why := badName(name)
		if why == "" && c.Pod != nil && strings.HasPrefix(kind, "output") && len(name) > maxOutputName {
			why = fmt.Sprintf("is longer than %d bytes", maxOutputName)
		}
		if why == "" {
			return nil
		}
		return v.f.Errorf(at(pos, c.Pos), "component %q: the name of %s %q %s", c.Name, kind, clip(name, 80), why).
			WithMend("give it a name of letters, digits, - and _: it is the name of a file")
	}
	for _, name := range sortedKeys(c.Inputs.Parameters) {
		if err := check("input parameter", name, c.Inputs.Parameters[name].Pos); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(c.Inputs.Artifacts) {
		if err := check("input artifact", name, source.Pos{}); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(c.Outputs.Parameters) {
		if err := check("output parameter", name, c.Outputs.Parameters[name].Pos); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(c.Outputs.Artifacts) {
		if err := check("output artifact", name, c.Outputs.Artifacts[name].Pos); err != nil {
			return err
		}
	}
	return nil
}

// badName says why name can't be that of one file in a directory; empty: it can.
func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsRune(name, 0):
		return "has a NUL in it"
	case strings.ContainsAny(name, `/\`):
		return "has a separator of paths in it"
	case name == "." || !filepath.IsLocal(name):
		return "is that of another directory"
	}
	return ""
}
