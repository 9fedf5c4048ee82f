package dag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// ParseJSON reads one JSON value as a parameter value: whole numbers become
// int64, others float64.
func ParseJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var x any
	if err := dec.Decode(&x); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return normalize(x)
}

// normalize replaces json.Number all through a decoded value.
func normalize(x any) (_ any, err error) {
	switch x := x.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i, nil
		}
		f, err := x.Float64()
		return f + 0, err // no -0, whose text would be read as another value
	case []any:
		for i := range x {
			if x[i], err = normalize(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range x {
			if x[k], err = normalize(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// FormatValue returns a value as the text that a command line or a STRING
// parameter receives: strings as they are, everything else as JSON, whole
// numbers without a fraction (KFP's launcher: FormatFloat 'f', -1).
func FormatValue(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return jsonText(x)
}

// jsonText is JSON without HTML escapes, with sorted keys.
func jsonText(x any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		return fmt.Sprint(x) // only a value that never came from JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Coerce returns x as a value of type t, as KFP's backend does: a STRING takes
// anything as its JSON text, whole floats are integers. The error says what was
// expected.
func Coerce(x any, t Type) (any, error) {
	if x == nil {
		return nil, nil
	}
	switch t {
	case TypeString:
		return FormatValue(x), nil
	case TypeInteger:
		if i, ok := source.Int(x); ok {
			return i, nil
		}
	case TypeDouble:
		switch x := x.(type) {
		case float64:
			return x, nil
		case int64:
			return float64(x), nil
		}
	case TypeBoolean:
		if b, ok := x.(bool); ok {
			return b, nil
		}
	case TypeList:
		if l, ok := x.([]any); ok {
			return l, nil
		}
	case TypeStruct, TypeFinal, TypeTaskConfig:
		if m, ok := x.(map[string]any); ok {
			return m, nil
		}
	default:
		return x, nil
	}
	return nil, fmt.Errorf("must be %s, not %s", typeWord(t), clip(jsonText(x), 60))
}

// ParseText reads text that a person or a step wrote as a value of type t, as KFP's
// launcher does (strconv.ParseBool, ParseInt, ParseFloat; else JSON). A whole number
// may also be written as 7.0.
func ParseText(text string, t Type) (any, error) {
	trimmed := strings.TrimSpace(text)
	switch t {
	case TypeAny, TypeString:
		return text, nil
	case TypeBoolean:
		if b, err := strconv.ParseBool(trimmed); err == nil {
			return b, nil
		}
	case TypeDouble:
		if f, err := strconv.ParseFloat(trimmed, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
	case TypeInteger:
		if i, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return i, nil
		}
	}
	x, err := ParseJSON([]byte(trimmed))
	if err != nil {
		return nil, fmt.Errorf("must be %s, not %q", typeWord(t), clip(text, 60))
	}
	return Coerce(x, t)
}

func typeWord(t Type) string {
	switch t {
	case TypeInteger:
		return "a whole number"
	case TypeDouble:
		return "a number"
	case TypeBoolean:
		return "true or false"
	case TypeList:
		return "a JSON list"
	case TypeStruct, TypeFinal, TypeTaskConfig:
		return "a JSON object"
	}
	return "text"
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// ParameterError says what is wrong with a parameter that a person gave.
type ParameterError struct {
	Name, Msg, Mend string
}

func (e *ParameterError) Error() string { return fmt.Sprintf("parameter %q %s", e.Name, e.Msg) }

// Hint says what to do next.
func (e *ParameterError) Hint() string { return e.Mend }

// Bind returns the values of the pipeline's parameters: text as given on the
// command line (parsed by type), else values as given in a file, else defaults.
func (p *Pipeline) Bind(text map[string]string, values map[string]any) (map[string]any, error) {
	root := p.Components[p.Root]
	bound := map[string]any{}
	for _, name := range sortedKeys(values) {
		param, err := p.parameter(name)
		if err != nil {
			return nil, err
		}
		if bound[name], err = Coerce(values[name], param.Type); err != nil {
			return nil, &ParameterError{Name: name, Msg: err.Error(), Mend: fmt.Sprintf("give it as -p %s=VALUE, or correct it in the file of parameters", name)}
		}
	}
	for _, name := range sortedKeys(text) {
		param, err := p.parameter(name)
		if err != nil {
			return nil, err
		}
		if bound[name], err = ParseText(text[name], param.Type); err != nil {
			return nil, &ParameterError{Name: name, Msg: err.Error(), Mend: fmt.Sprintf("-p %s=VALUE with VALUE as JSON", name)}
		}
	}
	for _, name := range sortedKeys(root.Inputs.Parameters) {
		param := root.Inputs.Parameters[name]
		x, given := bound[name]
		if x == nil { // null stands for no value, as in a task's inputs
			given = false
			delete(bound, name)
		}
		switch {
		case given && len(param.Literals) > 0 && !slices.ContainsFunc(param.Literals, func(l any) bool { return FormatValue(l) == FormatValue(x) }):
			return nil, &ParameterError{Name: name, Msg: "must be one of " + jsonText(param.Literals) + ", not " + jsonText(x), Mend: fmt.Sprintf("-p %s=%s", name, FormatValue(param.Literals[0]))}
		case given:
		case param.HasDefault:
			bound[name] = param.Default
		case !param.Optional:
			return nil, &ParameterError{Name: name, Msg: "is required and has no value", Mend: fmt.Sprintf("-p %s=VALUE", name)}
		}
	}
	return bound, nil
}

// parameter returns the root's parameter, or an error with the nearest name.
func (p *Pipeline) parameter(name string) (*Parameter, error) {
	inputs := p.Components[p.Root].Inputs
	if param, ok := inputs.Parameters[name]; ok {
		return param, nil
	}
	known := append(sortedKeys(inputs.Parameters), sortedKeys(inputs.Artifacts)...)
	e := &ParameterError{Name: name, Msg: "is not one of this pipeline's"}
	switch near := source.Nearest(name, slices.Clone(known)); {
	case near != "":
		e.Mend = fmt.Sprintf("did you mean %q?", near)
	case len(known) == 0:
		e.Mend = "this pipeline has no parameters"
	default:
		e.Mend = "its parameters: " + strings.Join(known, ", ")
	}
	return nil, e
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
