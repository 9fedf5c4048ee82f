package dag

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// someArtifacts stores every file under the digest "sha256:<its content>".
type someArtifacts struct{ noArtifacts }

func (someArtifacts) Add(_ context.Context, path string) (string, int64, error) {
	text, err := os.ReadFile(path)
	return "sha256:" + string(text), int64(len(text)), err
}

// collected hands files to the collector of r, by output name, and returns what
// it makes of them.
func collected(t *testing.T, r render, files map[string]string) (Values, error) {
	t.Helper()
	c := &collector{ctx: t.Context(), artifacts: someArtifacts{}, values: map[string]string{}, stored: map[string]Artifact{}}
	dir := t.TempDir()
	for _, o := range r.podOutputs() {
		text, ok := files[o.Name]
		if !ok {
			continue
		}
		delete(files, o.Name)
		path := filepath.Join(dir, filepath.Base(o.Name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Output(o.Name, path); err != nil {
			return Values{}, err
		}
	}
	if len(files) > 0 {
		t.Fatalf("the pod has no outputs %v", files)
	}
	return c.outputs(r)
}

func TestExecutorOutput(t *testing.T) {
	const file = "parameter:0:score"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  any
		err   string
	}{
		{"single file", map[string]string{file: "0.5\n"}, 0.5, ""},
		{"executor output", map[string]string{outExecutor: `{"parameterValues": {"score": 0.25}}`}, 0.25, ""},
		{"executor output wins", map[string]string{file: "0.5", outExecutor: `{"parameterValues": {"score": 0.25}}`}, 0.25, ""},
		{"executor output without it", map[string]string{file: "7", outExecutor: `{"parameterValues": {"other": 1}, "artifacts": {}}`}, 7.0, ""},
		{"null", map[string]string{outExecutor: `{"parameterValues": {"score": null}}`}, nil, ""},
		{"wrong type", map[string]string{outExecutor: `{"parameterValues": {"score": "high"}}`}, nil, `output parameter "score" must be a number, not "high"`},
		{"wrong text", map[string]string{file: "high"}, nil, `output parameter "score" must be a number, not "high"`},
		{"cut off", map[string]string{outExecutor: `{"parameterValues": {`}, nil, "the executor output file is not JSON: unexpected EOF"},
		{"empty", map[string]string{outExecutor: ``}, nil, "the executor output file is not JSON: EOF"},
		{"a list", map[string]string{file: "7", outExecutor: `[]`}, nil, "the executor output file holds [], not a JSON object"},
		{"parameters as a list", map[string]string{file: "7", outExecutor: `{"parameterValues": [1]}`}, nil, "the executor output file: parameterValues is not a JSON object"},
		{"artifacts as text", map[string]string{file: "7", outExecutor: `{"artifacts": "a"}`}, nil, "the executor output file: artifacts is not a JSON object"},
		{"nulls", map[string]string{file: "7", outExecutor: `{"artifacts": null, "parameterValues": null}`}, 7.0, ""},
		{"neither", map[string]string{}, nil, `the step ended well but did not write its output parameter "score" (looked for parameter-score)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := collected(t, trainRender(), tt.files)
			if errorText(err) != tt.err {
				t.Fatalf("error %v, want %s", err, tt.err)
			}
			if got := v.Parameters["score"]; !cmp.Equal(got, tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestExecutorOutputArtifacts(t *testing.T) {
	v, err := collected(t, trainRender(), map[string]string{
		"parameter:0:score": "1",
		"artifact:model":    "weights",
		outExecutor: `{"artifacts": {
			"model": {"artifacts": [{"name": "projects/1", "uri": "/w/runs/r1/5/1/model", "metadata": {"trees": 10, "depth": 2.5}}]},
			"plot": {"artifacts": [{"uri": "gs://b/plot.png"}]}}}`,
	})
	want := map[string][]Artifact{
		"model": {{
			Name: "model", URI: "/w/runs/r1/5/1/model", Digest: "sha256:weights", Size: 7, Type: "system.Model", Version: "0.0.1",
			Metadata: map[string]any{"trees": int64(10), "depth": 2.5},
		}},
		"plot": {{Name: "plot", URI: "gs://b/plot.png", Metadata: map[string]any{}}}, // not written here: tolerated
	}
	if diff := cmp.Diff(want, v.Artifacts); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	v, err = collected(t, trainRender(), map[string]string{"parameter:0:score": "1"})
	if a := v.Artifacts["model"][0]; err != nil || a.Digest != "" || a.URI != "/w/runs/r1/5/1/model" || a.Metadata["kind"] != "rf" {
		t.Errorf("an artifact that was not written: %+v, %v", a, err)
	}
}

func TestOriginOrder(t *testing.T) {
	r := trainRender()
	r.node.comp.Pod.Executor = false
	r.node.comp.Outputs = Outputs{Parameters: map[string]*OutputParameter{"p": {From: []Origin{
		{Path: "/tmp/outputs/p/data"}, {Path: "p"}, {Text: Text{{Text: "n="}, {Ref: &Ref{Kind: RefInputValue, Name: "n"}}}},
	}}}}
	for _, tt := range []struct {
		files map[string]string
		want  any
	}{
		{map[string]string{"parameter:0:p": "first\n", "parameter:1:p": "second"}, "first\n"},
		{map[string]string{"parameter:1:p": "second"}, "second"},
		{map[string]string{"parameter:0:p": ""}, ""},
		{map[string]string{}, "n=7"},
	} {
		if v, err := collected(t, r, tt.files); err != nil || v.Parameters["p"] != tt.want {
			t.Errorf("%v: got %v, %v; want %q", tt.files, v.Parameters, err, tt.want)
		}
	}
	o := r.node.comp.Outputs.Parameters["p"]
	o.Type = TypeInteger
	if _, err := collected(t, r, map[string]string{}); errorText(err) != `output parameter "p" must be a whole number, not "n=7"` {
		t.Errorf("a text of the wrong type: %v", err)
	}
	o.From = o.From[:2]
	_, err := collected(t, r, map[string]string{})
	var missing *OutputMissingError
	if !errors.As(err, &missing) || err.Error() != `the step ended well but did not write its output parameter "p" (looked for /tmp/outputs/p/data, p)` || missing.Hint() == "" {
		t.Errorf("missing: %v", err)
	}
}

func TestReadParameter(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxParameter+1); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(big, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		big:                          "output parameter:0:p: 64Mi is more than a parameter may hold (64Mi); hand it on as an artifact",
		dir:                          "output parameter:0:p: is not a file",
		link:                         "output parameter:0:p: is not a file",
		filepath.Join(dir, "absent"): "no such file",
	} {
		c := &collector{ctx: t.Context(), artifacts: someArtifacts{}, values: map[string]string{}}
		if err := c.Output("parameter:0:p", path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		want = strings.Replace(want, "output parameter:0:p", "the executor output file", 1)
		if err := c.Output(outExecutor, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// TestDirectoryHandedOn asserts that a directory that a step left as it was is the
// artifact that it came as, with the name and metadata of its maker.
func TestDirectoryHandedOn(t *testing.T) {
	came := Artifact{Name: "data", URI: "/w/runs/r0/1/1/data", Digest: "sha256:same", Size: 4, Metadata: map[string]any{"by": "load"}}
	r := trainRender()
	r.node.comp = &Component{
		Outputs: Outputs{Artifacts: map[string]*OutputArtifact{"data": {Path: "/data"}}},
		Pod:     &Pod{Directories: []Directory{{Name: "data", Path: "/data", From: []string{"in"}}}},
	}
	r.node.exec.Inputs = Values{Artifacts: map[string][]Artifact{"in": {came}}}
	v, err := collected(t, r, map[string]string{"artifact:data": "same"})
	if err != nil || !cmp.Equal(v.Artifacts["data"], []Artifact{came}) {
		t.Errorf("unchanged: %+v, %v", v.Artifacts["data"], err)
	}
	v, err = collected(t, r, map[string]string{"artifact:data": "changed"})
	if a := v.Artifacts["data"][0]; err != nil || a.Digest != "sha256:changed" || a.URI != "/w/runs/r1/5/1/data" || len(a.Metadata) != 0 {
		t.Errorf("changed: %+v, %v", a, err)
	}
	r.node.exec.Inputs.Artifacts["in"] = []Artifact{came, {Digest: "sha256:other"}}
	v, err = collected(t, r, map[string]string{"artifact:data": "same"})
	if a := v.Artifacts["data"][0]; err != nil || a.URI == came.URI {
		t.Errorf("made of two: %+v, %v", a, err)
	}
}
