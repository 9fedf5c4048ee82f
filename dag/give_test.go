package dag

import "testing"

func TestGiveArtifacts(t *testing.T) {
	pipeline := func() *Pipeline {
		p := tuned()
		p.Components["root"].Inputs.Artifacts = map[string]*ArtifactPort{"seed": {Type: ArtifactType{Title: "system.Dataset"}}}
		p.Components["root"].Graph.Tasks["train"].Artifacts["table"] = &Source{Input: "seed"}
		return p
	}
	p := pipeline()
	if err := p.GiveArtifacts(map[string]string{"seed": "/data/seed.csv"}); err != nil {
		t.Fatal(err)
	}
	if err := Validate(p, testFile()); err != nil {
		t.Fatal(err)
	}
	src := p.Components["root"].Graph.Tasks["train"].Artifacts["table"]
	spec := p.Components[src.Task].Importer
	if spec == nil || spec.URI.Constant.Value != "/data/seed.csv" || spec.Type.Title != "system.Dataset" {
		t.Errorf("train takes its table from %+v, an importer %+v", src, spec)
	}
	for given, want := range map[string]string{
		"":      `parameter "seed" is an artifact that the pipeline needs, and is not given`,
		"empty": `parameter "seed" is an artifact, and its URI is empty`,
	} {
		names := map[string]string{}
		if given == "empty" {
			names["seed"] = ""
		}
		if err := pipeline().GiveArtifacts(names); errorText(err) != want {
			t.Errorf("%q: %v, want %s", given, err, want)
		}
	}
	p = pipeline()
	p.Components["root"].Inputs.Artifacts["seed"].Optional = true
	if err := p.GiveArtifacts(nil); err != nil || p.Components["root"].Inputs.Artifacts["seed"] == nil {
		t.Errorf("an optional one that is not given: %v", err)
	}
}
