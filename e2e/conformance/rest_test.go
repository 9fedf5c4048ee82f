package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestRest reads, checks and plans what can't run here, and says what each would need.
func TestRest(t *testing.T) {
	needShared(t)
	n := 0
	for _, e := range index(t) {
		if _, given := gifts[e.path]; e.clean || given || e.state == "REJECTED" {
			continue
		}
		n++
		t.Run(e.path, func(t *testing.T) {
			t.Parallel()
			pl := newPlace(t, e.file(), project{})
			r := pl.call(t, pl.runArgs(pl.fill(t, e.inputs), "--dry-run")...)
			line := row{section: restSection, file: e.path, expected: "a plan", took: r.took, needs: e.needs}
			line.got, line.ok = planned(r)
			if !line.ok {
				line.differs = []string{r.lastWords()}
				t.Errorf("%s\n%s", line.got, tail(r.said))
			}
			table.add(line)
		})
	}
	if n == 0 {
		t.Error("the suite has no file that is planned only")
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

// fill adds a value for each input that the place's pipeline asks for and inputs
// leaves out: the index has none for what can't run.
func (pl *place) fill(t *testing.T, inputs map[string]any) map[string]any {
	t.Helper()
	type port struct {
		Type     string `yaml:"parameterType"`
		Default  any    `yaml:"defaultValue"`
		Optional bool   `yaml:"isOptional"`
	}
	var doc struct {
		Root struct {
			InputDefinitions struct{ Parameters, Artifacts map[string]port } `yaml:"inputDefinitions"`
		}
	}
	text, err := os.ReadFile(pl.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for name, p := range doc.Root.InputDefinitions.Parameters {
		if !p.Optional && p.Default == nil {
			out[name] = map[string]any{
				"STRING": "given", "NUMBER_INTEGER": 1, "NUMBER_DOUBLE": 1.5, "BOOLEAN": true, "LIST": []any{}, "STRUCT": map[string]any{},
			}[p.Type]
		}
	}
	for name, p := range doc.Root.InputDefinitions.Artifacts {
		if !p.Optional {
			out[name] = pl.write(t, "given/"+name, "given\n")
		}
	}
	maps.Copy(out, inputs)
	return out
}
