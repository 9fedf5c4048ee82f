package dag

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func text(s string) *Source { return &Source{Constant: &Constant{s}} }

func TestImporterMetadata(t *testing.T) {
	r := trainRender()
	r.node.comp.Importer = &Importer{Metadata: &Source{
		Fields: map[string]*Source{
			"a": {Concat: []*Source{{Input: "n"}, text(" of "), {Input: "rate"}, text("!"), {Input: "note"}}},
			"b": {Constant: &Constant{2.5}},
			"c": {List: []*Source{{Input: "n"}, {Run: "pipeline_job_name"}, {Constant: &Constant{nil}}}},
			"k": {Input: "note"},
		},
		Keys: map[string]*Source{"k": {Concat: []*Source{text("n"), {Input: "n"}}}},
	}}
	got, err := r.metadata()
	want := map[string]any{"a": "7 of 7!", "b": 2.5, "c": []any{int64(7), "nightly", nil}, "n7": nil}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for bad, want := range map[*Source]string{
		{Constant: &Constant{"a"}}: `metadata must be a struct, not "a"`,
		{Fields: map[string]*Source{"a": {List: []*Source{{Run: "no_such"}}}}}: `metadata: "a": item 0: the placeholder "no_such" has no value here`,
		{Task: "t", Output: "o"}: "metadata: its source can't be evaluated",
	} {
		r.node.comp.Importer.Metadata = bad
		if _, err := r.metadata(); errorText(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	r.node.comp.Importer.Metadata = nil
	if got, err := r.metadata(); err != nil || got == nil || len(got) > 0 {
		t.Errorf("none: %v, %v", got, err)
	}
}

// Inputs of TASK_CONFIG see the configuration; the execution's record does not.
func TestTaskConfig(t *testing.T) {
	r := trainRender()
	r.node.comp.Inputs.Parameters["config"] = &Parameter{Type: TypeTaskConfig, Optional: true}
	r.node.comp.Pod.TaskConfig = &Source{Fields: map[string]*Source{"env": {Constant: &Constant{nil}},
		"resources": {Fields: map[string]*Source{"cpu": {Concat: []*Source{{Input: "n"}}}}}}}
	var got struct {
		Inputs struct{ ParameterValues map[string]any }
	}
	if err := json.Unmarshal([]byte(r.executorInput()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"env": nil, "resources": map[string]any{"cpu": "7"}}
	if diff := cmp.Diff(want, got.Inputs.ParameterValues["config"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, there := r.node.exec.Inputs.Parameters["config"]; there || got.Inputs.ParameterValues["n"] != 7.0 {
		t.Errorf("inputs %v", r.node.exec.Inputs.Parameters)
	}
}
