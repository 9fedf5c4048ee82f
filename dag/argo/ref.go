package argo

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// part is a piece of a text: literal, or a reference.
type part struct {
	lit string
	ref *ref
}

type refKind int

const (
	refInput      refKind = iota // {{inputs.parameters.NAME}}
	refGlobal                    // {{workflow.parameters.NAME}}
	refTask                      // {{tasks.TASK.outputs.parameters.NAME}}
	refOutputPath                // {{outputs.parameters.NAME.path}}
	refRun                       // {{workflow.name}}, {{workflow.uid}}; name is KFP's name of it
	refUnknown                   // something that only a shell knows
)

// ref is one {{…}}.
type ref struct {
	kind refKind
	task string
	name string
	tag  string // as written, with its braces
	pos  source.Pos
}

// parse splits a text into its parts. It knows the notation, not what the names
// stand for.
func (r *reader) parse(t text) ([]part, error) {
	var parts []part
	rest := t.S
	for {
		before, after, ok := strings.Cut(rest, "{{")
		if before != "" {
			parts = append(parts, part{lit: before})
		}
		if !ok {
			return parts, nil
		}
		inner, next, ok := strings.Cut(after, "}}")
		if !ok {
			return nil, r.errorf(r.at(t.Pos, "{{"), "`{{` without `}}`")
		}
		ref, err := r.parseRef(t.Pos, inner)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{ref: ref})
		rest = next
	}
}

func (r *reader) parseRef(pos source.Pos, inner string) (*ref, error) {
	x := &ref{tag: "{{" + inner + "}}"}
	x.pos = r.at(pos, x.tag)
	s := strings.TrimSpace(inner)
	if strings.HasPrefix(s, "=") {
		return nil, r.errorf(x.pos, "%s: expressions (`{{=…}}`) are not supported yet", x.tag)
	}
	switch s {
	case "workflow.name":
		x.kind, x.name = refRun, "pipeline_job_name"
		return x, nil
	case "workflow.uid":
		x.kind, x.name = refRun, "pipeline_job_uuid"
		return x, nil
	}
	if name, ok := strings.CutPrefix(s, "inputs.parameters."); ok && name != "" {
		x.kind, x.name = refInput, name
		return x, nil
	}
	if name, ok := strings.CutPrefix(s, "workflow.parameters."); ok && name != "" {
		x.kind, x.name = refGlobal, name
		return x, nil
	}
	if name, ok := strings.CutPrefix(s, "outputs.parameters."); ok && strings.HasSuffix(name, ".path") {
		x.kind, x.name = refOutputPath, strings.TrimSuffix(name, ".path")
		return x, nil
	}
	if name, ok := strings.CutPrefix(s, "tasks."); ok {
		task, out, ok := strings.Cut(name, ".outputs.parameters.")
		if ok && task != "" && out != "" {
			x.kind, x.task, x.name = refTask, task, out
			return x, nil
		}
	}
	return nil, r.unknownRef(x, s)
}

// unknownRef tells what Argo has from what nobody has.
func (r *reader) unknownRef(x *ref, s string) error {
	head, _, _ := strings.Cut(s, ".")
	switch head {
	case "inputs", "outputs", "tasks", "workflow", "steps", "item", "pod", "node", "retries", "lastRetry", "cronworkflow":
		return r.errorf(x.pos, "reference %s is not supported yet", x.tag).
			WithMend("supported: {{inputs.parameters.X}}, {{tasks.T.outputs.parameters.P}}, {{workflow.parameters.X}}, " +
				"{{outputs.parameters.P.path}}, {{workflow.name}}, {{workflow.uid}}")
	}
	err := r.errorf(x.pos, "reference %s resolves to nothing", x.tag)
	if near := source.Nearest(head, []string{"inputs", "tasks", "workflow", "outputs"}); near != "" {
		return err.WithMend("did you mean {{%s%s}}?", near, strings.TrimPrefix(s, head))
	}
	return err.WithMend("references are {{inputs.parameters.X}}, {{tasks.T.outputs.parameters.P}} or {{workflow.parameters.X}}")
}

// at returns the position of what is written after pos in the file: the text of
// a long script starts many lines before the reference that is wrong. It is pos
// where the text is not found as it is (it was folded or escaped).
func (r *reader) at(pos source.Pos, written string) source.Pos {
	if r.lines == nil {
		r.lines = []int{0}
		for i, c := range r.f.Text {
			if c == '\n' {
				r.lines = append(r.lines, i+1)
			}
		}
	}
	if pos.Line < 1 || pos.Line > len(r.lines) {
		return pos
	}
	rest := r.f.Text[r.lines[pos.Line-1]:]
	skip := 0
	for col := 1; col < pos.Col && skip < len(rest); col++ {
		_, n := utf8.DecodeRune(rest[skip:])
		skip += n
	}
	const window = 64 << 10 // a longer script gets the position of its start
	i := bytes.Index(rest[skip:min(len(rest), skip+window)], []byte(written))
	if i < 0 {
		return pos
	}
	before := rest[:skip+i]
	start := bytes.LastIndexByte(before, '\n') + 1
	return source.Pos{
		Line: pos.Line + bytes.Count(before, []byte("\n")),
		Col:  utf8.RuneCount(before[start:]) + 1,
	}
}

// literal returns the text of parts without references.
func literal(parts []part) (string, bool) {
	var b strings.Builder
	for _, p := range parts {
		if p.ref != nil {
			return "", false
		}
		b.WriteString(p.lit)
	}
	return b.String(), true
}

// globalInput is the name of the input by which a component below the root
// receives a parameter of the workflow.
func globalInput(name string) string { return "workflow.parameters." + name }

// podText turns the parts of a container's text into the model's.
func (t *tmpl) podText(parts []part) dag.Text {
	var out dag.Text
	for _, p := range parts {
		switch {
		case p.ref == nil:
			out = append(out, dag.Part{Text: p.lit})
		case p.ref.kind == refInput:
			out = append(out, dag.Part{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: p.ref.name}})
		case p.ref.kind == refGlobal:
			out = append(out, dag.Part{Ref: &dag.Ref{Kind: dag.RefInputValue, Name: globalInput(p.ref.name)}})
		case p.ref.kind == refRun:
			out = append(out, dag.Part{Ref: &dag.Ref{Kind: dag.RefRun, Name: p.ref.name}})
		case p.ref.kind == refOutputPath:
			out = append(out, dag.Part{Text: t.declared[p.ref.name].ValueFrom.Path.S})
		}
	}
	return out
}
