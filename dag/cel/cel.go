package cel

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

const (
	// MaxSize is the length in bytes of the longest expression that is read.
	MaxSize = 64 << 10
	// maxCost bounds one evaluation: about that many operations, or ten times as
	// many bytes of text looked at. It is near a tenth of a second of one core.
	maxCost = 1_000_000
	// maxRegexp is the size in instructions of the largest pattern of matches().
	maxRegexp = 10_000
)

// A value is nil, bool, int64, float64, string, []any or map[string]any.

// Evaluator evaluates conditions and selectors. The zero value is ready, and safe
// for concurrent use. Errors say what went wrong; the expression is the caller's to
// name.
type Evaluator struct {
	cost uint64 // that bounds one evaluation; 0: maxCost
}

// Condition evaluates a trigger policy's condition. It sees inputs, the task's
// input parameters by name, as inputs.parameter_values; one that is missing is an
// error where it is asked for. So is a result that is neither true nor false.
func (v Evaluator) Condition(text string, inputs map[string]any) (bool, error) {
	if inputs == nil {
		inputs = map[string]any{}
	}
	out, err := v.evaluate(conditions, text, map[string]any{"inputs.parameter_values": inputs})
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("gives %s, not true or false", typeName(out))
	}
	return bool(b), nil
}

// Select evaluates a parameterExpressionSelector over value. string_value is
// always there, the value as text; of number_value, bool_value, list_value,
// struct_value and null_value only the one of the value's own type.
func (v Evaluator) Select(text string, value any) (any, error) {
	s, err := formatValue(value)
	if err != nil {
		return nil, err
	}
	vars := map[string]any{"string_value": s}
	switch value.(type) {
	case nil:
		vars["null_value"] = nil
	case bool:
		vars["bool_value"] = value
	case int64, float64:
		vars["number_value"] = value
	case []any:
		vars["list_value"] = value
	case map[string]any:
		vars["struct_value"] = value
	}
	out, err := v.evaluate(selectors, text, vars)
	if err != nil {
		return nil, err
	}
	return native(out)
}

// CheckCondition says what is wrong with a condition before it is run, as a
// *SyntaxError.
func CheckCondition(text string) error {
	ast, err := compile(conditions, text)
	if err != nil {
		return err
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return &SyntaxError{Text: text, Line: 1, Col: 1, Reason: "gives " + t.String() + ", not true or false"}
	}
	return nil
}

// CheckSelector says what is wrong with a parameterExpressionSelector before it
// is run, as a *SyntaxError.
func CheckSelector(text string) error {
	_, err := compile(selectors, text)
	return err
}

// environment makes what an expression may name. It takes a few milliseconds, so
// each is made once, when first asked for.
func environment(variables ...cel.EnvOption) func() (*cel.Env, error) {
	return sync.OnceValues(func() (*cel.Env, error) {
		return cel.NewEnv(append(variables,
			cel.CustomTypeAdapter(adapter{}),
			cel.ParserExpressionSizeLimit(MaxSize),
			cel.RegexProgramSizeLimit(maxRegexp),
			cel.Function("parseJson", cel.Overload("parse_json", []*cel.Type{cel.StringType}, cel.DynType,
				cel.UnaryBinding(parseJSON))),
		)...)
	})
}

var (
	conditions = environment(
		cel.Variable("inputs.parameter_values", cel.MapType(cel.StringType, cel.DynType)))
	selectors = environment(
		cel.Variable("string_value", cel.StringType),
		cel.Variable("number_value", cel.DoubleType),
		cel.Variable("bool_value", cel.BoolType),
		cel.Variable("list_value", cel.ListType(cel.DynType)),
		cel.Variable("struct_value", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("null_value", cel.NullType))
)

func compile(env func() (*cel.Env, error), text string) (*cel.Ast, error) {
	e, err := env()
	if err != nil {
		return nil, err
	}
	if len(text) > MaxSize {
		return nil, &SyntaxError{Text: text, Line: 1, Col: 1,
			Reason: fmt.Sprintf("is longer than the %d bytes that are read", MaxSize)}
	}
	ast, issues := e.Compile(text)
	if issues == nil || issues.Err() == nil {
		return ast, nil
	}
	first := &SyntaxError{Text: text, Line: 1, Col: 1, Reason: issues.Err().Error()}
	if all := issues.Errors(); len(all) > 0 {
		at := all[0].Location
		first.Line, first.Col = max(1, at.Line()), max(1, at.Column()+1)
		first.Reason, _, _ = strings.Cut(all[0].Message, " (in container '')")
		first.Reason, _, _ = strings.Cut(first.Reason, " expecting {") // all that may begin an expression
	}
	return nil, first
}

func (v Evaluator) evaluate(env func() (*cel.Env, error), text string, vars map[string]any) (ref.Val, error) {
	ast, err := compile(env, text)
	if err != nil {
		return nil, err
	}
	e, err := env()
	if err != nil {
		return nil, err
	}
	program, err := e.Program(ast, cel.CostLimit(cmp.Or(v.cost, maxCost)),
		cel.CostTrackerOptions(cost.OverloadTracker("parse_json", parseCost)))
	if err != nil {
		return nil, err
	}
	out, _, err := program.Eval(vars)
	switch {
	case err == nil:
		return out, nil
	case strings.Contains(err.Error(), "cost limit exceeded"):
		return nil, fmt.Errorf("takes too much work")
	case strings.HasPrefix(err.Error(), "no such attribute(s): "):
		return nil, fmt.Errorf("the value has no %s, only %s",
			strings.TrimPrefix(err.Error(), "no such attribute(s): "), strings.Join(slices.Sorted(maps.Keys(vars)), ", "))
	}
	return nil, err
}

// SyntaxError is an expression that can't be evaluated, whatever the values.
type SyntaxError struct {
	Text      string // the whole expression
	Line, Col int    // in the expression, counted from 1, in characters
	Reason    string
}

// Error is the reason, and where in a long expression.
func (e *SyntaxError) Error() string {
	if e.Line == 1 && e.Col == 1 {
		return e.Reason
	}
	return fmt.Sprintf("%s (at %q)", e.Reason, e.rest())
}

// rest is the beginning of what stands where the error is.
func (e *SyntaxError) rest() string {
	lines := strings.Split(e.Text, "\n")
	if e.Line > len(lines) {
		return ""
	}
	line := []rune(lines[e.Line-1])
	from := min(e.Col-1, len(line))
	if from == len(line) {
		return "end"
	}
	return string(line[from:min(len(line), from+20)])
}

// clip quotes a text for a message, shortened.
func clip(text string) string {
	if r := []rune(text); len(r) > 80 {
		text = string(r[:80]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
