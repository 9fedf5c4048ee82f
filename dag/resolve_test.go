package dag

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// trainRender is what the placeholders of an execution with inputs and outputs of
// every kind resolve to.
func trainRender() render {
	run := &Run{
		ID: "r1", Name: "nightly", Pipeline: &Pipeline{Name: "shop"},
		Created: time.Date(2026, 11, 23, 21, 5, 6, 0, time.FixedZone("", 3600)),
	}
	comp := &Component{
		Name: "train",
		Inputs: Inputs{
			Parameters: map[string]*Parameter{"n": {Type: TypeInteger}, "names": {Type: TypeList}, "rate": {Type: TypeDouble}, "note": {Optional: true}, "must": {}},
			Artifacts:  map[string]*ArtifactPort{"table": {}, "many": {List: true}, "none": {Optional: true}},
		},
		Outputs: Outputs{
			Parameters: map[string]*OutputParameter{"score": {Type: TypeDouble}},
			Artifacts: map[string]*OutputArtifact{
				"model": {Type: ArtifactType{Title: "system.Model", Version: "0.0.1"}, Metadata: map[string]any{"kind": "rf"}},
				"plot":  {Path: "/tmp/plot.png"},
			},
		},
		Pod: &Pod{Executor: true, Containers: []Container{{Image: Literal("img")}}},
	}
	table := Artifact{
		Name: "table", URI: "/home/u/.wherry/runs/r0/1/1/table", Digest: "sha256:aa", Type: "system.Dataset", Version: "0.0.1",
		Metadata: map[string]any{"rows": int64(7), "share": 0.5, "who": "Zoë <z@x>"},
	}
	exec := &Execution{ID: 5, Inputs: Values{
		Parameters: map[string]any{"n": int64(7), "names": []any{"a", 2.0}, "rate": 7.0},
		Artifacts:  map[string][]Artifact{"table": {table}, "many": {{Name: "x", URI: "/x"}, {Name: "y", URI: "/y"}}},
	}}
	return render{run: run, node: &node{exec: exec, comp: comp, task: &Task{Name: "train-2"}}, dir: "/w/runs/r1/5/1"}
}

func TestRenderRefs(t *testing.T) {
	const model = `{"artifacts":[{"metadata":{"kind":"rf"},"name":"model","type":{"schemaTitle":"system.Model","schemaVersion":"0.0.1"},"uri":"/w/runs/r1/5/1/model"}]}`
	for _, tt := range []struct {
		ref  Ref
		want string
		err  string
	}{
		{Ref{Kind: RefOutputFile}, "/w/runs/r1/5/1/executor_output.json", ""},
		{Ref{Kind: RefInputValue, Name: "n"}, "7", ""},
		{Ref{Kind: RefInputValue, Name: "rate"}, "7", ""},
		{Ref{Kind: RefInputValue, Name: "names"}, `["a",2]`, ""},
		{Ref{Kind: RefInputValue, Name: "note"}, "", ""},
		{Ref{Kind: RefInputValue, Name: "must"}, "", `input parameter "must" has no value`},
		{Ref{Kind: RefInputValue, Name: "unknown"}, "", `input parameter "unknown" has no value`},
		{Ref{Kind: RefOutputValue, Name: "score"}, "/w/runs/r1/5/1/parameter-score", ""},
		{Ref{Kind: RefInputArtifact, Name: "many"}, `{"artifacts":[{"metadata":{},"name":"x","type":{"schemaTitle":"","schemaVersion":""},"uri":"/x"},{"metadata":{},"name":"y","type":{"schemaTitle":"","schemaVersion":""},"uri":"/y"}]}`, ""},
		{Ref{Kind: RefInputURI, Name: "table"}, "/home/u/.wherry/runs/r0/1/1/table", ""},
		{Ref{Kind: RefInputPath, Name: "table"}, "/home/u/.wherry/runs/r0/1/1/table", ""},
		{Ref{Kind: RefInputMetadata, Name: "table", Key: "rows"}, "7", ""},
		{Ref{Kind: RefInputMetadata, Name: "table", Key: "who"}, "Zoë <z@x>", ""},
		{Ref{Kind: RefInputMetadata, Name: "table"}, `{"rows":7,"share":0.5,"who":"Zoë <z@x>"}`, ""},
		{Ref{Kind: RefInputPath, Name: "none"}, "", `input artifact "none" has no value`},
		{Ref{Kind: RefOutputArtifact, Name: "model"}, model, ""},
		{Ref{Kind: RefOutputURI, Name: "model"}, "/w/runs/r1/5/1/model", ""},
		{Ref{Kind: RefOutputPath, Name: "model"}, "/w/runs/r1/5/1/model", ""},
		{Ref{Kind: RefOutputPath, Name: "plot"}, "/tmp/plot.png", ""},
		{Ref{Kind: RefOutputMetadata, Name: "model", Key: "kind"}, "rf", ""},
		{Ref{Kind: RefRun, Name: "pipeline_job_name"}, "nightly", ""},
		{Ref{Kind: RefRun, Name: "pipeline_job_resource_name"}, "shop-r1", ""},
		{Ref{Kind: RefRun, Name: "pipeline_job_uuid"}, "r1", ""},
		{Ref{Kind: RefRun, Name: "pipeline_root"}, "wherry://r1", ""},
		{Ref{Kind: RefRun, Name: "pipeline_job_create_time_utc"}, "2026-11-23T20:05:06Z", ""},
		{Ref{Kind: RefRun, Name: "pipeline_job_schedule_time_utc"}, "2026-11-23T20:05:06Z", ""},
		{Ref{Kind: RefRun, Name: "pipeline_task_name"}, "train-2", ""},
		{Ref{Kind: RefRun, Name: "pipeline_task_uuid"}, "r1-5", ""},
		{Ref{Kind: RefRun, Name: "pipeline_color"}, "", `the placeholder "pipeline_color" has no value here`},
		{Ref{Kind: RefRun, Name: "workspace_path"}, "/kfp-workspace", ""},
		{Ref{Kind: RefWorkspace}, "/kfp-workspace", ""},
	} {
		got, err := trainRender().text(Text{{Text: "<"}, {Ref: &tt.ref}, {Text: ">"}})
		want := "<" + tt.want + ">"
		if tt.err != "" {
			want = ""
		}
		if got != want || errorText(err) != tt.err {
			t.Errorf("%+v: got %s, %v; want %s, %s", tt.ref, got, err, want, tt.err)
		}
	}
}

func TestRenderArgs(t *testing.T) {
	value := func(name string) Arg { return Arg{Text: Text{{Ref: &Ref{Kind: RefInputValue, Name: name}}}} }
	for _, tt := range []struct {
		name string
		arg  Arg
		want []string
	}{
		{"none", Arg{}, []string{""}},
		{"text", Arg{Text: Text{{Text: "--n="}, {Ref: &Ref{Kind: RefInputValue, Name: "n"}}}}, []string{"--n=7"}},
		{"present", Arg{IfPresent: &IfPresent{Input: "n", Then: []Arg{{Text: Literal("--n")}, value("n")}, Else: Args("no")}}, []string{"--n", "7"}},
		{"absent", Arg{IfPresent: &IfPresent{Input: "note", Then: Args("yes"), Else: Args("a", "b")}}, []string{"a", "b"}},
		{"absent, nothing else", Arg{IfPresent: &IfPresent{Input: "note", Then: Args("yes")}}, nil},
		{"artifact present", Arg{IfPresent: &IfPresent{Input: "table", Then: Args("yes"), Else: Args("no")}}, []string{"yes"}},
		{"artifact absent", Arg{IfPresent: &IfPresent{Input: "none", Then: Args("yes"), Else: Args("no")}}, []string{"no"}},
		{"joined", Arg{Concat: []Arg{{Text: Literal("a")}, value("n"), {Text: Literal("b")}}}, []string{"a7b"}},
		{"joined, one absent", Arg{Concat: []Arg{{Text: Literal("a")}, {IfPresent: &IfPresent{Input: "note", Then: Args("x")}}}}, []string{"a"}},
		{"joined in present", Arg{IfPresent: &IfPresent{Input: "n", Then: []Arg{{Concat: []Arg{value("n"), value("n")}}, {IfPresent: &IfPresent{Input: "rate", Then: Args("r")}}}}}, []string{"77", "r"}},
	} {
		got, err := trainRender().args([]Arg{tt.arg})
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	for _, a := range []Arg{value("must"), {Concat: []Arg{value("must")}}, {IfPresent: &IfPresent{Input: "n", Then: []Arg{value("must")}}}} {
		if got, err := trainRender().args([]Arg{a}); err == nil {
			t.Errorf("%+v: got %q, want an error", a, got)
		}
	}
}

// TestExecutorInput compares {{$}} with KFP's contract: camelCase, protobuf's
// names, an outputFile for each output parameter.
func TestExecutorInput(t *testing.T) {
	got, err := trainRender().text(Text{{Ref: &Ref{Kind: RefExecutorInput}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
		"inputs": {
			"parameterValues": {"n": 7, "names": ["a", 2], "rate": 7},
			"artifacts": {
				"table": {"artifacts": [{"name": "table", "uri": "/home/u/.wherry/runs/r0/1/1/table",
					"type": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}, "metadata": {"rows": 7, "share": 0.5, "who": "Zoë <z@x>"}}]},
				"many": {"artifacts": [
					{"name": "x", "uri": "/x", "type": {"schemaTitle": "", "schemaVersion": ""}, "metadata": {}},
					{"name": "y", "uri": "/y", "type": {"schemaTitle": "", "schemaVersion": ""}, "metadata": {}}]}
			}
		},
		"outputs": {
			"parameters": {"score": {"outputFile": "/w/runs/r1/5/1/parameter-score"}},
			"artifacts": {
				"model": {"artifacts": [{"name": "model", "uri": "/w/runs/r1/5/1/model",
					"type": {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}, "metadata": {"kind": "rf"}}]},
				"plot": {"artifacts": [{"name": "plot", "uri": "/w/runs/r1/5/1/plot", "type": {"schemaTitle": "", "schemaVersion": ""}, "metadata": {}}]}
			},
			"outputFile": "/w/runs/r1/5/1/executor_output.json"
		}
	}`
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	bare := render{node: &node{comp: &Component{}, exec: &Execution{}}, dir: "/w"}
	if got, want := bare.executorInput(), `{"inputs":{},"outputs":{"outputFile":"/w/executor_output.json"}}`; got != want {
		t.Errorf("without inputs: %s, want %s", got, want)
	}
}

func TestLocalPath(t *testing.T) {
	for _, tt := range []struct{ uri, want string }{
		{"/data/x.csv", "/data/x.csv"},
		{"file:///data/x.csv", "/data/x.csv"},
		{"data/x.csv", "/p/data/x.csv"},
		{"./x.csv", "/p/x.csv"},
		{"../x.csv", "/x.csv"},
		{"gs://bucket/x", "gs://bucket/x"},
		{"file:///data/a%20b", "/data/a b"},
		{"file://server/x", "file://server/x"},
		{"", ""},
	} {
		if got := localPath(tt.uri, "/p/flow.yaml"); got != tt.want {
			t.Errorf("localPath(%s) = %s, want %s", tt.uri, got, tt.want)
		}
	}
}

func TestResolveInputs(t *testing.T) {
	model := Artifact{Name: "model", Digest: "sha256:m"}
	s := &scope{
		inputs:  Values{Parameters: map[string]any{"size": 3.0}, Artifacts: map[string][]Artifact{"seed": {{Digest: "sha256:s"}}}},
		setting: &setting{run: &Run{ID: "r1"}},
		nodes: map[string]*node{"a": {exec: &Execution{State: Succeeded, Outputs: Values{
			Parameters: map[string]any{"x": 2.0, "empty": nil}, Artifacts: map[string][]Artifact{"model": {model}},
		}}}},
	}
	of := func(src *Source) map[string]*Source { return map[string]*Source{"in": src} }
	for _, tt := range []struct {
		name  string
		param Parameter
		src   map[string]*Source
		want  any // "absent": no value
		err   string
	}{
		{"constant", Parameter{Type: TypeInteger}, of(&Source{Constant: &Constant{7.0}}), int64(7), ""},
		{"pipeline's", Parameter{Type: TypeInteger}, of(&Source{Input: "size"}), int64(3), ""},
		{"a task's", Parameter{Type: TypeString}, of(&Source{Task: "a", Output: "x"}), "2", ""},
		{"run's", Parameter{}, of(&Source{Run: "pipeline_job_uuid"}), "r1", ""},
		{"joined", Parameter{}, of(&Source{Concat: []*Source{{Constant: &Constant{"n="}}, {Task: "a", Output: "x"}, {Task: "a", Output: "none"}}}), "n=2", ""},
		{"a null in a text", Parameter{}, of(&Source{Concat: []*Source{{Constant: &Constant{"n="}}, {Task: "a", Output: "empty"}}}), "n=", ""},
		{"list", Parameter{Type: TypeList}, of(&Source{List: []*Source{{Task: "a", Output: "x"}, {Task: "a", Output: "none"}, {List: []*Source{{Input: "size"}}}}}), []any{2.0, nil, []any{3.0}}, ""},
		{"struct", Parameter{Type: TypeStruct}, of(&Source{Fields: map[string]*Source{"a": {Input: "size"}, "k": {Constant: &Constant{"v"}}},
			Keys: map[string]*Source{"k": {Concat: []*Source{{Constant: &Constant{"k"}}, {Input: "size"}}}}}), map[string]any{"a": 3.0, "k3": "v"}, ""},
		{"struct as text", Parameter{Type: TypeString}, of(&Source{Fields: map[string]*Source{"a": {List: []*Source{{Run: "pipeline_job_uuid"}}}}}), `{"a":["r1"]}`, ""},
		{"wrong type", Parameter{Type: TypeBoolean}, of(&Source{Task: "a", Output: "x"}), "absent", `input parameter "in" must be true or false, not 2`},
		{"nothing", Parameter{}, nil, "absent", `input parameter "in" has no value`},
		{"null", Parameter{}, of(&Source{Task: "a", Output: "empty"}), "absent", `input parameter "in" has no value`},
		{"null is the default", Parameter{HasDefault: true, Default: "d"}, of(&Source{Constant: &Constant{nil}}), "d", ""},
		{"default is coerced", Parameter{Type: TypeInteger, HasDefault: true, Default: 4.0}, nil, int64(4), ""},
		{"optional", Parameter{Optional: true, HasDefault: true, Default: "d"}, of(&Source{Task: "a", Output: "none"}), "absent", ""},
		{"no source", Parameter{}, of(&Source{}), "absent", `input parameter "in" has no value: its source can't be evaluated`},
	} {
		n := &node{task: &Task{Parameters: tt.src}, exec: &Execution{}, comp: &Component{Pod: &Pod{}, Inputs: Inputs{Parameters: map[string]*Parameter{"in": &tt.param}}}}
		v, err := s.resolveInputs(n)
		got, ok := v.Parameters["in"]
		if !ok {
			got = "absent"
		}
		if errorText(err) != tt.err || !cmp.Equal(got, tt.want) {
			t.Errorf("%s: got %#v, %v; want %#v, %s", tt.name, got, err, tt.want, tt.err)
		}
	}
	n := &node{
		task: &Task{Artifacts: map[string]*Source{"m": {Task: "a", Output: "model"}, "s": {Input: "seed"}, "o": {Task: "a", Output: "none"}}},
		exec: &Execution{}, comp: &Component{Inputs: Inputs{Artifacts: map[string]*ArtifactPort{"m": {}, "s": {}, "o": {Optional: true}}}},
	}
	v, err := s.resolveInputs(n)
	if want := (map[string][]Artifact{"m": {model}, "s": {{Digest: "sha256:s"}}}); err != nil || !cmp.Equal(v.Artifacts, want) {
		t.Errorf("artifacts: got %v, %v; want %v", v.Artifacts, err, want)
	}
	n.comp.Inputs.Artifacts["o"].Optional = false
	if _, err := s.resolveInputs(n); errorText(err) != `input artifact "o" has no value` {
		t.Errorf("a missing artifact: %v", err)
	}
}

func TestGraphOutputs(t *testing.T) {
	task := func(s State, x any) *node {
		return &node{exec: &Execution{State: s, Outputs: Values{
			Parameters: map[string]any{"x": x}, Artifacts: map[string][]Artifact{"m": {{Name: string(s)}}},
		}}}
	}
	either := []*Source{{Task: "a", Output: "x"}, {Task: "b", Output: "x"}, {Task: "c", Output: "x"}}
	s := &scope{
		nodes: map[string]*node{"a": task(Failed, "a"), "b": task(Succeeded, "b"), "c": task(Succeeded, "c"), "d": {exec: &Execution{State: Skipped}}},
		comp: &Component{Outputs: Outputs{
			Parameters: map[string]*OutputParameter{"first": {Select: either}, "none": {Select: []*Source{{Task: "d", Output: "x"}}}},
			Artifacts:  map[string]*OutputArtifact{"m": {Select: []*Source{{Task: "d", Output: "m"}, {Task: "b", Output: "m"}}}},
		}},
	}
	v := s.outputs()
	if want := map[string]any{"first": "b"}; !cmp.Equal(v.Parameters, want) {
		t.Errorf("parameters %v, want %v: the first whose task succeeded", v.Parameters, want)
	}
	if want := map[string][]Artifact{"m": {{Name: "SUCCEEDED"}}}; !cmp.Equal(v.Artifacts, want) {
		t.Errorf("artifacts %v, want %v", v.Artifacts, want)
	}
}
