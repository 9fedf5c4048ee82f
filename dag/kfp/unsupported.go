package kfp

import (
	"fmt"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// construct is something of the format that is read but can't be run yet. A
// pipeline that has one is refused before anything starts. What can be run is
// deleted here, and the compiler then names the places that refuse it.
type construct string

const (
	resolver  construct = "resolver (a query of Vertex AI's metadata)"
	customJob construct = "customJob (a job of Vertex AI)"
)

// mends are what to do about the constructs that no local run will ever have.
var mends = map[construct]string{
	resolver:  "take the artifact as an input of the pipeline, or import it by its URI: dsl.importer",
	customJob: "write the step as a container component: the same image, command and args",
}

// refuse records that the pipeline needs c, for what about says.
func (t *translator) refuse(c construct, about string, pos source.Pos) {
	t.refuseAs(string(c), about, pos)
	t.out.Unsupported[len(t.out.Unsupported)-1].Mend = mends[c]
}

func (t *translator) refuseAs(what, about string, pos source.Pos) {
	t.out.Unsupported = append(t.out.Unsupported, dag.Unsupported{What: fmt.Sprintf("%s of %s", what, about), Pos: pos})
}
