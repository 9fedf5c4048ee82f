package dag

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

// TestArtifactURIChosenByStep asserts that the place that a step gives an artifact
// (dsl.get_uri) is where it is looked for, and what it is called afterwards.
func TestArtifactURIChosenByStep(t *testing.T) {
	declared := []runner.Output{{Name: "artifact:model", Path: "/w/model"}, {Name: "parameter:0:p", Path: "/w/p"}}
	for _, tt := range []struct {
		name, uri, custom, at, called string
	}{
		{"its own place", "/w/model", "", "", "/w/model"},
		{"another place of its directory", "/w/best", "", "/w/best", "/w/best"},
		{"a place outside", "/data/../etc/x", "", "/etc/x", "/w/model"},
		{"a place that climbs out", "/w/../etc/x", "", "/etc/x", "/w/model"},
		{"custom path", "/w/model", "/opt/m", "/opt/m", "/w/model"},
		{"elsewhere", "gs://b/model", "", "", "gs://b/model"},
		{"nothing said", "", "", "", "/w/model"},
	} {
		c := &collector{stored: map[string]Artifact{}, executor: &executorResult{
			artifacts: map[string][]Artifact{"model": {{URI: tt.uri}}}, elsewhere: map[string]string{},
		}}
		if tt.custom != "" {
			c.executor.elsewhere["model"] = tt.custom
		}
		var want []runner.Output
		if tt.at != "" {
			want = []runner.Output{{Name: "artifact:model", Path: tt.at}}
			c.stored["model"] = Artifact{Digest: "sha256:m"}
		}
		if got := c.elsewhere(declared); !cmp.Equal(got, want) {
			t.Errorf("%s: collected from %v, want %v", tt.name, got, want)
		}
		r := trainRender()
		r.dir = "/w"
		if got := c.handedOver(r, "model"); len(got) != 1 || got[0].URI != tt.called {
			t.Errorf("%s: handed on as %+v, want the URI %s", tt.name, got, tt.called)
		}
	}
}

// TestArtifactListOfStep asserts that each artifact of a list output is kept.
func TestArtifactListOfStep(t *testing.T) {
	r := trainRender()
	r.dir = "/w"
	r.node.comp.Outputs.Artifacts["model"].List = true
	c := &collector{
		executor: &executorResult{artifacts: map[string][]Artifact{"model": {{URI: "/w/model"}, {URI: "/w/second"}}}},
		stored:   map[string]Artifact{"model": {Digest: "sha256:a"}, "model[1]": {Digest: "sha256:b"}},
	}
	want := []runner.Output{{Name: "artifact:model[1]", Path: "/w/second"}}
	if got := c.elsewhere([]runner.Output{{Name: "artifact:model", Path: "/w/model"}}); !cmp.Equal(got, want) {
		t.Errorf("collected from %v, want %v", got, want)
	}
	list := c.handedOver(r, "model")
	if len(list) != 2 || list[0].Digest != "sha256:a" || list[1].Digest != "sha256:b" || list[1].URI != "/w/second" {
		t.Errorf("handed on %+v", list)
	}
}
