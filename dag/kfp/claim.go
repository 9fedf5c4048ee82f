package kfp

import (
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// Images that stand for no container: the backend makes or deletes a volume claim
// where a task names one.
const (
	createClaim = "argostub/createpvc"
	deleteClaim = "argostub/deletepvc"
)

func isClaim(image string) bool { return strings.HasPrefix(image, "argostub/") }

// claim translates a task that makes or deletes a volume claim.
func (t *translator) claim(c *dag.Component, spec *containerSpec) error {
	needs := "pvc_name"
	switch spec.Image.Value {
	case createClaim:
		needs = ""
		t.unused[unusedSizes] = true
	case deleteClaim:
	default:
		return t.unknown(spec.Image, "image", fmt.Sprintf("component %q", c.Name), []string{createClaim, deleteClaim})
	}
	if needs != "" && c.Inputs.Parameters[needs] == nil {
		return t.errorf(spec.Image.Pos, "component %q: image %s needs an input parameter %q", c.Name, spec.Image.Value, needs)
	}
	c.Claim = &dag.Claim{Delete: spec.Image.Value == deleteClaim}
	return nil
}
