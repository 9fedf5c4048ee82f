package kfp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
)

// maxPlaceholder is the length in bytes of the longest placeholder looked for.
const maxPlaceholder = 1024

// placeholderError is a placeholder that stands for nothing.
type placeholderError struct{ text string }

func (e *placeholderError) Error() string { return "unknown placeholder " + clip(e.text) }

// nearest returns the input or output that was most likely meant, or "".
func (e *placeholderError) nearest(c *componentSpec) string {
	ref, ok := parsePlaceholder(e.text)
	if !ok {
		return source.Nearest(e.text, slices.Collect(maps.Keys(fixed)))
	}
	names := slices.Concat(c.InputDefinitions.Parameters.names(), c.InputDefinitions.Artifacts.names(),
		c.OutputDefinitions.Parameters.names(), c.OutputDefinitions.Artifacts.names())
	return source.Nearest(ref.Name, names)
}

// fixed placeholders stand for one thing.
var fixed = map[string]dag.Ref{
	"{{$}}":                              {Kind: dag.RefExecutorInput},
	"{{$.outputs.output_file}}":          {Kind: dag.RefOutputFile},
	"{{$.outputMetadataUri}}":            {Kind: dag.RefOutputFile, Name: "outputMetadataUri"}, // before output_file
	"{{$.workspace_path}}":               {Kind: dag.RefWorkspace},
	"{{$.pipeline_job_name}}":            {Kind: dag.RefRun, Name: "pipeline_job_name"},
	"{{$.pipeline_job_resource_name}}":   {Kind: dag.RefRun, Name: "pipeline_job_resource_name"},
	"{{$.pipeline_job_uuid}}":            {Kind: dag.RefRun, Name: "pipeline_job_uuid"},
	"{{$.pipeline_job_create_time_utc}}": {Kind: dag.RefRun, Name: "pipeline_job_create_time_utc"},
	"{{$.pipeline_job_schedule_time_utc}}": {Kind: dag.RefRun,
		Name: "pipeline_job_schedule_time_utc"},
	"{{$.pipeline_task_name}}": {Kind: dag.RefRun, Name: "pipeline_task_name"},
	"{{$.pipeline_task_uuid}}": {Kind: dag.RefRun, Name: "pipeline_task_uuid"},
	"{{$.pipeline_root}}":      {Kind: dag.RefRun, Name: "pipeline_root"},
}

// named placeholders hold the name of an input or output and may hold a key.
var named = regexp.MustCompile(
	`^\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']*)'\](\.[a-z_]+)?(?:\['([^']*)'\])?\}\}$`)

var namedKinds = map[string]dag.RefKind{
	"inputs.parameters":              dag.RefInputValue,
	"outputs.parameters.output_file": dag.RefOutputValue,
	"inputs.artifacts":               dag.RefInputArtifact,
	"inputs.artifacts.uri":           dag.RefInputURI,
	"inputs.artifacts.path":          dag.RefInputPath,
	"inputs.artifacts.metadata":      dag.RefInputMetadata,
	"outputs.artifacts":              dag.RefOutputArtifact,
	"outputs.artifacts.uri":          dag.RefOutputURI,
	"outputs.artifacts.path":         dag.RefOutputPath,
	"outputs.artifacts.metadata":     dag.RefOutputMetadata,
}

// parsePlaceholder returns what one placeholder stands for; false: nothing.
func parsePlaceholder(s string) (dag.Ref, bool) {
	if ref, ok := fixed[s]; ok {
		return ref, true
	}
	m := named.FindStringSubmatch(s)
	if m == nil {
		return dag.Ref{}, false
	}
	kind, ok := namedKinds[m[1]+"."+m[2]+m[4]]
	if !ok || m[5] != "" && kind != dag.RefInputMetadata && kind != dag.RefOutputMetadata {
		return dag.Ref{}, false
	}
	return dag.Ref{Kind: kind, Name: m[3], Key: m[5]}, true
}

// split cuts s at its placeholders. known is asked about each; what it doesn't
// know stays literal text, and the first such placeholder is returned.
func split(s string, known func(dag.Ref) bool) (parts dag.Text, unknown string) {
	from := 0 // of the literal text before the place looked at
	for at := 0; ; {
		i := strings.Index(s[at:], "{{$")
		if i < 0 {
			break
		}
		at += i
		end := strings.Index(s[at:min(len(s), at+maxPlaceholder)], "}}")
		if end < 0 {
			at += 3
			continue
		}
		whole := s[at : at+end+2]
		ref, ok := parsePlaceholder(whole)
		if !ok || !known(ref) {
			if unknown == "" {
				unknown = whole
			}
			at += 3 // what follows may hold a whole placeholder
			continue
		}
		if from < at {
			parts = append(parts, dag.Part{Text: s[from:at]})
		}
		parts = append(parts, dag.Part{Ref: &ref})
		at += len(whole)
		from = at
	}
	if from < len(s) {
		parts = append(parts, dag.Part{Text: s[from:]})
	}
	return parts, unknown
}

// parseText parses a string of a container. A placeholder that is unknown is an
// error, except in a program (a text of several lines), where it is left as it
// is, as the backend does.
func parseText(s string, known func(dag.Ref) bool) (dag.Text, error) {
	parts, unknown := split(s, known)
	if unknown != "" && !strings.Contains(s, "\n") {
		return nil, &placeholderError{unknown}
	}
	return parts, nil
}

// parseArg parses an argument: text, or JSON that becomes zero or more
// arguments, {"IfPresent": …} or {"Concat": …}.
func parseArg(s string, known func(dag.Ref) bool) (dag.Arg, error) {
	trimmed := strings.TrimSpace(s)
	if !strings.HasPrefix(trimmed, `{"IfPresent":`) && !strings.HasPrefix(trimmed, `{"Concat":`) {
		text, err := parseText(s, known)
		return dag.Arg{Text: text}, err
	}
	dec := json.NewDecoder(strings.NewReader(trimmed))
	dec.DisallowUnknownFields()
	var a argJSON
	if err := dec.Decode(&a); err != nil {
		return dag.Arg{}, fmt.Errorf("argument %s is not a placeholder: %w", clip(trimmed), err)
	}
	if dec.More() {
		return dag.Arg{}, fmt.Errorf("argument %s: text after its end", clip(trimmed))
	}
	return a.arg(known)
}

// argJSON is one item of a structured argument: text or one of the two forms.
type argJSON struct {
	text      *string
	Concat    []argJSON      `json:"Concat"`
	IfPresent *ifPresentJSON `json:"IfPresent"`
}

type ifPresentJSON struct {
	InputName string
	Then      argList
	Else      argList
}

// argList is a list of items, or one item.
type argList []argJSON

// UnmarshalJSON reads text or a mapping.
func (a *argJSON) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &a.text)
	}
	if len(b) == 0 || b[0] != '{' {
		return errors.New("an item must be text, IfPresent or Concat")
	}
	type plain argJSON
	return unmarshalStrict(b, (*plain)(a))
}

// UnmarshalJSON reads a list, or one item.
func (l *argList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return unmarshalStrict(b, (*[]argJSON)(l))
	}
	if string(b) == "null" {
		return nil
	}
	*l = make(argList, 1)
	return (*l)[0].UnmarshalJSON(b)
}

func unmarshalStrict(b []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func (a argJSON) arg(known func(dag.Ref) bool) (dag.Arg, error) {
	var out dag.Arg
	var err error
	switch {
	case a.text != nil:
		out.Text, err = parseText(*a.text, known)
	case a.IfPresent != nil && a.Concat == nil:
		if !known(dag.Ref{Kind: dag.RefInputValue, Name: a.IfPresent.InputName}) &&
			!known(dag.Ref{Kind: dag.RefInputArtifact, Name: a.IfPresent.InputName}) {
			return out, fmt.Errorf("IfPresent: unknown input %q", a.IfPresent.InputName)
		}
		p := &dag.IfPresent{Input: a.IfPresent.InputName}
		if p.Then, err = args(a.IfPresent.Then, known); err != nil {
			return out, err
		}
		p.Else, err = args(a.IfPresent.Else, known)
		out.IfPresent = p
	case a.Concat != nil && a.IfPresent == nil:
		out.Concat, err = args(a.Concat, known)
	default:
		err = errors.New(`a structured argument needs exactly one of "IfPresent" and "Concat"`)
	}
	return out, err
}

func args(list []argJSON, known func(dag.Ref) bool) ([]dag.Arg, error) {
	var out []dag.Arg
	for _, item := range list {
		a, err := item.arg(known)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// clip shortens a text for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
