package kfp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
	"pgregory.net/rapid"
)

func TestParsePlaceholder(t *testing.T) {
	for s, want := range map[string]dag.Ref{
		"{{$}}":                                          {Kind: dag.RefExecutorInput},
		"{{$.outputs.output_file}}":                      {Kind: dag.RefOutputFile},
		"{{$.inputs.parameters['a b']}}":                 {Kind: dag.RefInputValue, Name: "a b"},
		"{{$.outputs.parameters['p'].output_file}}":      {Kind: dag.RefOutputValue, Name: "p"},
		"{{$.inputs.artifacts['a']}}":                    {Kind: dag.RefInputArtifact, Name: "a"},
		"{{$.inputs.artifacts['a'].uri}}":                {Kind: dag.RefInputURI, Name: "a"},
		"{{$.inputs.artifacts['a'].path}}":               {Kind: dag.RefInputPath, Name: "a"},
		"{{$.inputs.artifacts['a'].metadata['k']}}":      {Kind: dag.RefInputMetadata, Name: "a", Key: "k"},
		"{{$.outputs.artifacts['a'].metadata}}":          {Kind: dag.RefOutputMetadata, Name: "a"},
		"{{$.outputs.artifacts['a'].path}}":              {Kind: dag.RefOutputPath, Name: "a"},
		"{{$.pipeline_job_uuid}}":                        {Kind: dag.RefRun, Name: "pipeline_job_uuid"},
		"{{$.workspace_path}}":                           {Kind: dag.RefWorkspace},
		"{{$.inputs.parameters['a'].uri}}":               {},
		"{{$.inputs.parameters[a]}}":                     {},
		"{{$.outputs.parameters['a']}}":                  {},
		"{{$.inputs.artifacts['a'].path['k']}}":          {},
		"{{$.pipeline_google_cloud_location}}":           {},
		"{{$.inputs.parameters['a']}} {{$.x['a']}}":      {},
		"{{ $.inputs.parameters['a'] }}":                 {},
		"{{$.inputs.parameters['a']}}{{$.inputs.x['']}}": {},
	} {
		got, ok := parsePlaceholder(s)
		if ok != (want.Kind != "") || got != want {
			t.Errorf("%s: %+v, want %+v", s, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	known := func(r dag.Ref) bool { return r.Kind != dag.RefInputValue || r.Name == "a" }
	a := dag.Part{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: "a"}}
	for _, tt := range []struct {
		in      string
		want    dag.Text
		unknown string
	}{
		{"", nil, ""},
		{"plain }} {{", dag.Literal("plain }} {{"), ""},
		{"{{$.inputs.parameters['a']}}-{{$.inputs.parameters['a']}}", dag.Text{a, {Text: "-"}, a}, ""},
		{"{{{$.inputs.parameters['a']}}}", dag.Text{{Text: "{"}, a, {Text: "}"}}, ""},
		{"{{$ {{$.inputs.parameters['a']}}", dag.Text{{Text: "{{$ "}, a}, "{{$ {{$.inputs.parameters['a']}}"},
		{"{{$.inputs.parameters['b']}}", dag.Literal("{{$.inputs.parameters['b']}}"), "{{$.inputs.parameters['b']}}"},
		{"{{$", dag.Literal("{{$"), ""},
	} {
		got, unknown := split(tt.in, known)
		if diff := cmp.Diff(tt.want, got); diff != "" || unknown != tt.unknown {
			t.Errorf("split(%q): unknown %q (-want +got)\n%s", tt.in, unknown, diff)
		}
	}
}

// A program keeps what only looks like a placeholder; an argument does not.
func TestParseTextProgram(t *testing.T) {
	known := func(dag.Ref) bool { return true }
	if text, err := parseText("a\nprint('{{$.no}}')", known); err != nil || len(text) != 1 {
		t.Errorf("program: %v, %v", text, err)
	}
	if _, err := parseText("print('{{$.no}}')", known); err == nil {
		t.Error("argument: no error")
	}
}

// Splitting loses no byte, whatever the text.
func TestSplitLossless(t *testing.T) {
	piece := rapid.SampledFrom([]string{"{{$", "{{", "}}", "{{$}}", "{{$.pipeline_root}}", "x", "\n", "é",
		"{{$.inputs.parameters['a']}}", "{{$.inputs.parameters['", "']}}"})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "")
		parts, _ := split(s, func(dag.Ref) bool { return true })
		var b strings.Builder
		for _, p := range parts {
			switch {
			case p.Ref == nil:
				b.WriteString(p.Text)
			case p.Ref.Kind == dag.RefExecutorInput:
				b.WriteString("{{$}}")
			case p.Ref.Kind == dag.RefRun:
				b.WriteString("{{$." + p.Ref.Name + "}}")
			default:
				b.WriteString("{{$.inputs.parameters['" + p.Ref.Name + "']}}")
			}
		}
		if b.String() != s {
			t.Fatalf("%q became %q", s, b.String())
		}
	})
}

// A text made to be slow is split in time linear in its length.
func TestSplitTime(t *testing.T) {
	start := time.Now()
	split(strings.Repeat("{{$", 1<<20)+"}}", func(dag.Ref) bool { return true })
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"0s": 0, "5s": 5 * time.Second, "3600s": time.Hour, "0.5s": time.Second / 2,
		"5": -1, "5m": -1, "1h5s": -1, "-5s": -1, "s": -1, "1.2.3s": -1, "99999999999999999999s": -1} {
		got, err := parseDuration(s)
		if want < 0 != (err != nil) || err == nil && got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
