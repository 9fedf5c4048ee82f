package dag

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
)

// lines is a file of many lines, so that an error can show the one it is about.
func lines() *source.File {
	f := &source.File{Name: "p.yaml"}
	for i := 1; i <= 40; i++ {
		f.Text = fmt.Appendf(f.Text, "line %d\n", i)
	}
	return f
}

func line(n int) source.Pos { return source.Pos{Line: n, Col: 3} }

// small is a valid pipeline: load -> train, both in a nested graph too.
func small() *Pipeline {
	graph := func(base int) *Graph {
		return &Graph{Tasks: map[string]*Task{
			"load": {Name: "load", Component: "load", Pos: line(base)},
			"train": {
				Name: "train", Component: "train", Pos: line(base + 1), Needs: []Edge{{Task: "load"}},
				Parameters: map[string]*Source{"rows": {Task: "load", Output: "rows", Pos: line(base + 2)}},
				Artifacts:  map[string]*Source{"table": {Task: "load", Output: "table", Pos: line(base + 3)}},
			},
		}}
	}
	pod := &Pod{Containers: []Container{{Image: Literal("img")}}}
	return &Pipeline{Name: "small", Root: "root", Components: map[string]*Component{
		"root": {
			Name: "root", Pos: line(1), Graph: graph(10),
			Inputs: Inputs{Parameters: map[string]*Parameter{"size": {Type: TypeInteger}}, Artifacts: map[string]*ArtifactPort{"seed": {}}},
			Outputs: Outputs{
				Parameters: map[string]*OutputParameter{"score": {Select: []*Source{{Task: "train", Output: "score", Pos: line(20)}}}},
				Artifacts:  map[string]*OutputArtifact{"model": {Select: []*Source{{Task: "train", Output: "model", Pos: line(21)}}}},
			},
		},
		"load": {
			Name: "load", Pos: line(2), Pod: pod,
			Outputs: Outputs{Parameters: map[string]*OutputParameter{"rows": {}}, Artifacts: map[string]*OutputArtifact{"table": {}}},
		},
		"train": {
			Name: "train", Pos: line(3), Pod: pod,
			Inputs: Inputs{
				Parameters: map[string]*Parameter{"rows": {Type: TypeInteger}, "rate": {HasDefault: true}, "note": {Optional: true}},
				Artifacts:  map[string]*ArtifactPort{"table": {}, "hints": {Optional: true}},
			},
			Outputs: Outputs{Parameters: map[string]*OutputParameter{"score": {}}, Artifacts: map[string]*OutputArtifact{"model": {}}},
		},
	}}
}

const nameMend = "give it a name of letters, digits, - and _: it is the name of a file"

func TestValidate(t *testing.T) {
	if err := Validate(small(), lines()); err != nil {
		t.Fatalf("a valid pipeline: %v", err)
	}
	task := func(p *Pipeline, name string) *Task { return p.Components["root"].Graph.Tasks[name] }
	add := func(p *Pipeline, name string, t *Task) {
		t.Name, t.Pos = name, line(30)
		if t.Component == "" {
			t.Component = "load"
		}
		p.Components["root"].Graph.Tasks[name] = t
	}
	for _, tt := range []struct {
		name  string
		spoil func(p *Pipeline)
		err   string
		mend  string
	}{
		{"root", func(p *Pipeline) { p.Root = "rot" }, `p.yaml: the pipeline has no root component "rot"`, ""},
		{"no body", func(p *Pipeline) { p.Components["load"].Pod = nil }, `p.yaml:2:3: component "load" must have exactly one of a graph, a container, an importer, a claim and a search`, ""},
		{"two bodies", func(p *Pipeline) { p.Components["load"].Importer = &Importer{} }, `p.yaml:2:3: component "load" must have exactly one of a graph, a container, an importer, a claim and a search`, ""},
		{"component", func(p *Pipeline) { task(p, "train").Component = "trian" }, `p.yaml:11:3: task "train": unknown component "trian"`, `did you mean "train"?`},
		{"component, none near", func(p *Pipeline) { task(p, "train").Component = "xyz" }, `p.yaml:11:3: task "train": unknown component "xyz"`, "known: load, root, train"},
		{"dependency", func(p *Pipeline) { task(p, "train").Needs = []Edge{{Task: "laod"}} }, `p.yaml:11:3: task "train": depends on unknown task "laod"`, `did you mean "load"?`},
		{"parameter", func(p *Pipeline) {
			task(p, "train").Parameters["rowz"] = &Source{Constant: &Constant{1}, Pos: line(31)}
		}, `p.yaml:31:3: task "train": component "train" has no input parameter "rowz"`, `did you mean "rows"?`},
		{"parameter without a place", func(p *Pipeline) { task(p, "train").Parameters["rowz"] = &Source{Constant: &Constant{1}} }, `p.yaml:11:3: task "train": component "train" has no input parameter "rowz"`, `did you mean "rows"?`},
		{"artifact", func(p *Pipeline) {
			task(p, "train").Artifacts["tabel"] = &Source{Task: "load", Output: "table", Pos: line(31)}
		}, `p.yaml:31:3: task "train": component "train" has no input artifact "tabel"`, `did you mean "table"?`},
		{"producer", func(p *Pipeline) { task(p, "train").Parameters["rows"].Task = "loaf" }, `p.yaml:12:3: task "train": takes an input from unknown task "loaf"`, `did you mean "load"?`},
		{"output", func(p *Pipeline) { task(p, "train").Parameters["rows"].Output = "row" }, `p.yaml:12:3: task "train": task "load" has no output "row"`, `did you mean "rows"?`},
		{"artifact as a parameter", func(p *Pipeline) { task(p, "train").Parameters["rows"].Output = "table" }, `p.yaml:12:3: task "train": task "load" has no output "table"`, "known: rows"},
		{"parameter as an artifact", func(p *Pipeline) { task(p, "train").Artifacts["table"].Output = "rows" }, `p.yaml:13:3: task "train": task "load" has no output "rows"`, "known: table"},
		{"pipeline's input", func(p *Pipeline) { task(p, "train").Parameters["rows"] = &Source{Input: "siz", Pos: line(31)} }, `p.yaml:31:3: task "train": component "root" has no input "siz"`, `did you mean "size"?`},
		{"pipeline's artifact", func(p *Pipeline) { task(p, "train").Artifacts["table"] = &Source{Input: "size", Pos: line(31)} }, `p.yaml:31:3: task "train": component "root" has no input "size"`, "known: seed"},
		{"status", func(p *Pipeline) { task(p, "train").Parameters["note"] = &Source{Status: "lod", Pos: line(31)} }, `p.yaml:31:3: task "train": asks for the status of unknown task "lod"`, `did you mean "load"?`},
		{"joined", func(p *Pipeline) {
			task(p, "train").Parameters["note"] = &Source{Concat: []*Source{{Constant: &Constant{1}}, {Task: "lod", Output: "rows", Pos: line(32)}}, Pos: line(31)}
		}, `p.yaml:32:3: task "train": takes an input from unknown task "lod"`, `did you mean "load"?`},
		{"loop over", func(p *Pipeline) {
			task(p, "train").Iterate = &Iterator{Items: &Source{Task: "lod", Output: "rows", Pos: line(31)}, Input: "rows"}
		}, `p.yaml:31:3: task "train": takes an input from unknown task "lod"`, `did you mean "load"?`},
		{"missing parameter", func(p *Pipeline) { delete(task(p, "train").Parameters, "rows") }, `p.yaml:11:3: task "train": input parameter "rows" of component "train" has no value`, ""},
		{"missing artifact", func(p *Pipeline) { delete(task(p, "train").Artifacts, "table") }, `p.yaml:11:3: task "train": input artifact "table" of component "train" has no value`, ""},
		{"pipeline's output, task", func(p *Pipeline) { p.Components["root"].Outputs.Parameters["score"].Select[0].Task = "tran" }, `p.yaml:20:3: output "score" of component "root" comes from unknown task "tran"`, `did you mean "train"?`},
		{"pipeline's output, name", func(p *Pipeline) { p.Components["root"].Outputs.Parameters["score"].Select[0].Output = "scor" }, `p.yaml:20:3: output "score" of component "root": task "train" has no output "scor"`, `did you mean "score"?`},
		{"pipeline's output, artifact", func(p *Pipeline) { p.Components["root"].Outputs.Artifacts["model"].Select[0].Output = "score" }, `p.yaml:21:3: output "model" of component "root": task "train" has no output "score"`, "known: model"},
		{"cycle of one", func(p *Pipeline) { add(p, "x", &Task{Needs: []Edge{{Task: "x"}}}) }, `p.yaml:30:3: task "x" waits for itself: x -> x`, "take one of these dependencies out"},
		{"cycle behind a tail", func(p *Pipeline) {
			add(p, "a", &Task{Needs: []Edge{{Task: "b"}}})
			add(p, "b", &Task{Needs: []Edge{{Task: "load"}, {Task: "c"}}})
			add(p, "c", &Task{Needs: []Edge{{Task: "d", On: OnEnd}}})
			add(p, "d", &Task{Needs: []Edge{{Task: "b", On: OnFailure}}})
		}, `p.yaml:30:3: task "b" waits for itself: b -> c -> d -> b`, "take one of these dependencies out"},
		{"cycle through inputs", func(p *Pipeline) {
			add(p, "a", &Task{Component: "train", Parameters: map[string]*Source{"rows": {Task: "load", Output: "rows"}, "note": {Concat: []*Source{{Task: "b", Output: "score"}}}}, Artifacts: map[string]*Source{"table": {Task: "load", Output: "table"}}})
			add(p, "b", &Task{Component: "train", Parameters: map[string]*Source{"rows": {Task: "load", Output: "rows"}, "note": {Status: "a"}}, Artifacts: map[string]*Source{"table": {Task: "load", Output: "table"}}})
		}, `p.yaml:30:3: task "a" waits for itself: a -> b -> a`, "take one of these dependencies out"},
		{"recursion", func(p *Pipeline) {
			p.Components["root"].Inputs = Inputs{}
			add(p, "again", &Task{Component: "root"})
		}, `p.yaml:30:3: task "again": component "root" contains itself without a condition, so that it would never end`, ""},
		{"recursion through another", func(p *Pipeline) {
			p.Components["root"].Inputs = Inputs{}
			p.Components["inner"] = &Component{Name: "inner", Graph: &Graph{Tasks: map[string]*Task{"back": {Name: "back", Component: "root", Pos: line(33)}}}}
			add(p, "in", &Task{Component: "inner"})
		}, `p.yaml:33:3: task "back": component "root" contains itself without a condition, so that it would never end`, ""},
		{"output artifact that is a path", func(p *Pipeline) {
			p.Components["load"].Outputs.Artifacts["../../elsewhere/file"] = &OutputArtifact{Pos: line(34)}
		}, `p.yaml:34:3: component "load": the name of output artifact "../../elsewhere/file" has a separator of paths in it`, nameMend},
		{"output parameter that is a path", func(p *Pipeline) {
			p.Components["load"].Outputs.Parameters["a/b"] = &OutputParameter{Pos: line(34)}
		}, `p.yaml:34:3: component "load": the name of output parameter "a/b" has a separator of paths in it`, nameMend},
		{"output artifact above", func(p *Pipeline) { p.Components["load"].Outputs.Artifacts[".."] = &OutputArtifact{Pos: line(34)} },
			`p.yaml:34:3: component "load": the name of output artifact ".." is that of another directory`, nameMend},
		{"output artifact that is all", func(p *Pipeline) { p.Components["load"].Outputs.Artifacts["."] = &OutputArtifact{} },
			`p.yaml:2:3: component "load": the name of output artifact "." is that of another directory`, nameMend},
		{"output artifact with a NUL", func(p *Pipeline) { p.Components["load"].Outputs.Artifacts["a\x00b"] = &OutputArtifact{} },
			`p.yaml:2:3: component "load": the name of output artifact "a\x00b" has a NUL in it`, nameMend},
		{"long output artifact", func(p *Pipeline) {
			p.Components["load"].Outputs.Artifacts[strings.Repeat("x", 201)] = &OutputArtifact{}
		}, `p.yaml:2:3: component "load": the name of output artifact "` + strings.Repeat("x", 80) + `…" is longer than 200 bytes`, nameMend},
		{"input parameter that is a path", func(p *Pipeline) {
			p.Components["load"].Inputs.Parameters = map[string]*Parameter{"/etc": {Pos: line(34)}}
		}, `p.yaml:34:3: component "load": the name of input parameter "/etc" has a separator of paths in it`, nameMend},
		{"input artifact without a name", func(p *Pipeline) {
			p.Components["load"].Inputs.Artifacts = map[string]*ArtifactPort{"": {}}
		}, `p.yaml:2:3: component "load": the name of input artifact "" is empty`, nameMend},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := small()
			tt.spoil(p)
			err := Validate(p, lines())
			var e *source.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want %s", err, tt.err)
			}
			if e.Error() != tt.err || e.Hint() != tt.mend {
				t.Errorf("got  %s (%s)\nwant %s (%s)", e, e.Hint(), tt.err, tt.mend)
			}
			if want := fmt.Sprintf("line %d", e.Pos.Line); e.Pos.Line > 0 && e.Text != want {
				t.Errorf("shows %q, want %q", e.Text, want)
			}
		})
	}
}

func TestValidateAllows(t *testing.T) {
	when := &Expression{Language: "cel", Text: "x"}
	for name, change := range map[string]func(p *Pipeline){
		"recursion with a condition": func(p *Pipeline) {
			p.Components["root"].Graph.Tasks["again"] = &Task{Name: "again", Component: "root", When: when}
		},
		"recursion with a condition further out": func(p *Pipeline) {
			p.Components["inner"] = &Component{Name: "inner", Graph: &Graph{Tasks: map[string]*Task{"back": {Name: "back", Component: "root"}}}}
			p.Components["root"].Graph.Tasks["in"] = &Task{Name: "in", Component: "inner", When: when}
		},
		"a component used twice": func(p *Pipeline) {
			p.Components["root"].Graph.Tasks["more"] = &Task{Name: "more", Component: "load"}
		},
		"recursion of what is not used": func(p *Pipeline) {
			p.Components["loop"] = &Component{Name: "loop", Graph: &Graph{Tasks: map[string]*Task{"t": {Name: "t", Component: "loop"}}}}
		},
		"a loop's item": func(p *Pipeline) {
			p.Components["root"].Graph.Tasks["train"].Iterate = &Iterator{Items: &Source{Constant: &Constant{[]any{}}}, Input: "rows"}
			delete(p.Components["root"].Graph.Tasks["train"].Parameters, "rows")
		},
		"names with spaces and other letters": func(p *Pipeline) {
			p.Components["load"].Outputs.Artifacts["my größter output…"] = &OutputArtifact{}
			p.Components["load"].Outputs.Parameters["..a"] = &OutputParameter{}
			p.Components["load"].Outputs.Artifacts[strings.Repeat("x", 200)] = &OutputArtifact{}
		},
		"two waiting for one": func(p *Pipeline) {
			for _, n := range []string{"a", "b"} {
				p.Components["root"].Graph.Tasks[n] = &Task{Name: n, Component: "load", Needs: []Edge{{Task: "load"}, {Task: "train"}}}
			}
		},
	} {
		p := small()
		p.Components["root"].Inputs = Inputs{}
		change(p)
		if err := Validate(p, lines()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefuse(t *testing.T) {
	p := small()
	if err := Refuse(p, lines()); err != nil {
		t.Fatalf("nothing unsupported: %v", err)
	}
	p.Unsupported = []Unsupported{{What: `a loop of task "a"`, Pos: line(4)}}
	err := Refuse(p, lines())
	var e *source.Error
	if !errors.As(err, &e) || e.Error() != `p.yaml:4:3: a loop of task "a" is read but can't be run yet; nothing was started` || e.Mend == "" {
		t.Errorf("one: %v", err)
	}
	for i := 5; i < 15; i++ {
		p.Unsupported = append(p.Unsupported, Unsupported{What: fmt.Sprintf("x%d", i), Pos: line(i)})
	}
	want := "also not yet: x5 (line 5), x6 (line 6), x7 (line 7), x8 (line 8), x9 (line 9), x10 (line 10), x11 (line 11), x12 (line 12)"
	if err := Refuse(p, lines()); !errors.As(err, &e) || e.Mend != want {
		t.Errorf("many: %v, %s", err, e.Mend)
	}
	p.Unsupported = []Unsupported{{What: "a job", Mend: "write a step", Pos: line(4)}, {What: "x", Pos: line(5)}}
	if err := Refuse(p, lines()); !errors.As(err, &e) || e.Error() != "p.yaml:4:3: a job can't be run here; nothing was started" ||
		e.Mend != "write a step; also not yet: x (line 5)" {
		t.Errorf("never: %v, %s", err, e.Mend)
	}
}
