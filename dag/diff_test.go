package dag

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// compared returns two runs of one pipeline that went alike.
func compared() (a, b *Run, inA, inB []*Execution) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	make := func(id string) (*Run, []*Execution) {
		p := steps("load train<-load")
		p.Components["step"].Pod.Containers[0].Command = Args("sh", "-c", "import os\nprint(1)\nprint(2)\n")
		run := &Run{ID: id, Name: id, Pipeline: p, State: Succeeded, Started: noon, Ended: noon.Add(10 * time.Second), Parameters: map[string]any{"lr": 0.1}}
		var list []*Execution
		for _, task := range []string{"load", "train"} {
			list = append(list, &Execution{
				Path: task, Task: task, Component: "step", Kind: KindContainer, State: Succeeded, Started: noon, Ended: noon.Add(3 * time.Second),
				KeyParts: map[string]string{"image": "sha256:aa", "command": "x", "parameter n": "1"},
				Inputs:   Values{Parameters: map[string]any{"n": int64(1)}},
				Outputs:  Values{Artifacts: map[string][]Artifact{"metrics": {{URI: "/runs/" + id, Type: metricsType, Metadata: map[string]any{"accuracy": 0.5}}}}},
			})
		}
		return run, list
	}
	a, inA = make("a")
	b, inB = make("b")
	return a, b, inA, inB
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *Run, in []*Execution)
		want   string // parts of the JSON, in order
	}{
		{"nothing", func(*Run, []*Execution) {}, `"same":true`},
		{"a little slower", func(_ *Run, in []*Execution) { in[1].Ended = in[1].Ended.Add(200 * time.Millisecond) }, `"same":true`},
		{"much slower", func(_ *Run, in []*Execution) { in[1].Ended = in[1].Ended.Add(2 * time.Second) }, `"same":false … "path":"train" … "duration":3 … "duration":5`},
		{"a parameter", func(b *Run, _ []*Execution) { b.Parameters["lr"] = 0.2 }, `"same":false … "parameters":[{"name":"lr","a":0.1,"b":0.2}] … "tasks":[]`},
		{"a mount that only one has", func(b *Run, _ []*Execution) { b.Options.Mounts = []Mount{{Target: "/src", Digest: "sha256:m"}} },
			`"options":[{"name":"mount /src","a":null,"b":"sha256:m"}]`},
		{"an image", func(_ *Run, in []*Execution) { in[0].KeyParts["image"] = "sha256:bb" }, `"path":"load" … "key":[{"name":"image","a":"sha256:aa","b":"sha256:bb"}]`},
		{"an input", func(_ *Run, in []*Execution) {
			in[0].Inputs.Parameters["n"] = int64(2)
			in[0].KeyParts["parameter n"] = "2"
		}, `"path":"load" … "key":[],"inputs":[{"name":"parameter n","a":1,"b":2}]`},
		{"a metric", func(_ *Run, in []*Execution) { in[1].Outputs.Artifacts["metrics"][0].Metadata["accuracy"] = 0.75 },
			`"path":"train" … "outputs":[],"metrics":[{"name":"metrics.accuracy","a":0.5,"b":0.75,"delta":0.25}]`},
		{"a failure", func(_ *Run, in []*Execution) { in[1].State, in[1].Error = Failed, "exit code 1" }, `"path":"train" … "state":"SUCCEEDED" … "state":"FAILED" … "exit code 1"`},
		{"a task that the other lacks", func(_ *Run, in []*Execution) { in[1].Path = "fit" }, `"path":"train","a":{ … "b":null … "path":"fit","a":null,"b":{`},
		{"a line of source", func(b *Run, in []*Execution) {
			b.Pipeline.Components["step"].Pod.Containers[0].Command = Args("sh", "-c", "import os\nprint(3)\nprint(2)\n")
			in[0].KeyParts["command"] = "y"
		}, `"name":"definition" … "path":"load" … "code":[{"name":"command[2]","diff":"@@ -1,3 +1,3 @@\n import os\n-print(1)\n+print(3)\n print(2)\n"}],"key":[]`},
	} {
		a, b, inA, inB := compared()
		tt.change(b, inB)
		text, err := json.Marshal(Compare(a, b, inA, inB))
		if err != nil {
			t.Fatal(err)
		}
		rest := string(text)
		for part := range strings.SplitSeq(tt.want, " … ") {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s: no %s in\n%s", tt.name, part, text)
				break
			}
			rest = after
		}
	}
}

func TestLineDiff(t *testing.T) {
	if got := LineDiff("a\nb", "a\nb"); got != "" {
		t.Errorf("got %q", got)
	}
	if got := LineDiff("a\nb", "a\nc"); got != "@@ -1,2 +1,2 @@\n a\n-b\n+c\n" {
		t.Errorf("got %q", got)
	}
}
