package dag

import (
	"strings"
	"testing"
)

func TestRaised(t *testing.T) {
	for _, tt := range []struct{ log, want string }{
		{"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    raise X\nValueError: no column 'price'\nafter", "ValueError: no column 'price'"},
		{"Traceback (most recent call last):\n  File\nKeyError\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File\nmy.pkg.LoadError: gone\n", "my.pkg.LoadError: gone"},
		{"ValueError: only printed", ""},
		{"Traceback (most recent call last):\n  cut off", ""},
		{"", ""},
	} {
		var r raised
		for line := range strings.Lines(tt.log) {
			r.line([]byte(strings.TrimSuffix(line, "\n")))
		}
		if r.last != tt.want {
			t.Errorf("%q: %q, want %q", tt.log, r.last, tt.want)
		}
	}
}

func TestPipelineParameterWithoutValue(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("group")
		p.Components["root"].Inputs.Parameters = map[string]*Parameter{"label": {Optional: true}}
		p.Components["say"] = &Component{
			Name: "say", Inputs: Inputs{Parameters: map[string]*Parameter{"text": {}}},
			Pod: &Pod{Containers: []Container{{Image: Literal("img"), Command: Args("say")}}},
		}
		p.Components["inner"] = &Component{
			Name: "inner", Inputs: Inputs{Parameters: map[string]*Parameter{"ch--label": {Optional: true}}},
			Graph: &Graph{Tasks: map[string]*Task{"say": {Name: "say", Component: "say", Parameters: map[string]*Source{"text": {Input: "ch--label"}}}}},
		}
		task := p.Components["root"].Graph.Tasks["group"]
		task.Component, task.Parameters = "inner", map[string]*Source{"ch--label": {Input: "label"}}
		s.create("r1", p)
		_, got := s.drive("r1")
		if want := `input parameter "text" has no value: the pipeline's parameter "label" has none; try: -p label=VALUE, or a default other than None`; got["group/say"].Error != want {
			s.t.Errorf("got %q, want %q", got["group/say"].Error, want)
		}
	})
}
