package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// refused are the files of the suite that wherry still refuses, with what it says.
// Any other must be planned.
var refused = map[string]string{}

// TestRest reads, checks and plans what can't run here, and says what each would need.
func TestRest(t *testing.T) {
	needShared(t)
	for _, e := range index(t) {
		if e.clean || e.state == "REJECTED" {
			continue
		}
		t.Run(e.path, func(t *testing.T) {
			t.Parallel()
			pl := newPlace(t, e.file(), project{})
			args := pl.runArgs(e.inputs, "--dry-run")
			for _, name := range rootArtifacts[e.path] {
				args = append(args, "-p", name+"="+pl.write(t, "given/"+name, "given"))
			}
			r := pl.call(t, args...)
			line := row{section: restSection, file: e.path, expected: "a plan", took: r.took, needs: e.needs}
			line.got, line.ok = planned(r)
			if why, ok := refused[e.path]; ok {
				line.expected, line.ok = "refused: "+why, r.code == 2 && strings.Contains(r.said, why)
			}
			if !line.ok {
				line.differs = []string{r.lastWords()}
				t.Errorf("%s\n%s", line.got, r.said)
			}
			table.add(line)
		})
	}
}

// planned says what a dry run came to.
func planned(r *result) (got string, ok bool) {
	var plan struct{ Tasks []json.RawMessage }
	if err := json.Unmarshal([]byte(r.printed), &plan); r.code != 0 || err != nil {
		return fmt.Sprintf("exit %d", r.code), false
	}
	return fmt.Sprintf("a plan of %d tasks", len(plan.Tasks)), len(plan.Tasks) > 0
}

// rootArtifacts are the artifacts that a pipeline can't start without, by file.
var rootArtifacts = map[string][]string{}
