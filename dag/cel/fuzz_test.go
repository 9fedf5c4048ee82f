package cel

import (
	"encoding/json"
	"errors"
	"testing"
)

// Whatever the text and the value: no panic, what CheckSelector passes compiles,
// and a result is a JSON value that selecting all of gives back.
func FuzzSelect(f *testing.F) {
	for _, text := range []string{
		`parseJson(string_value)["a"]`, `struct_value.a`, `list_value[0]`, `list_value.map(x, x)`,
		`string_value.matches("a+")`, `{"a": number_value}`, `bool_value ? null_value : 1u`, `"\u00e9" + string_value`,
	} {
		f.Add(text, `{"a": [1, 2.5, null, "x"]}`)
		f.Add(text, `[9223372036854775807, 1e300, true]`)
	}
	f.Fuzz(func(t *testing.T, text, valueJSON string) {
		var value any
		if json.Unmarshal([]byte(valueJSON), &value) != nil {
			value = valueJSON
		}
		passed := CheckSelector(text) == nil
		got, err := Evaluator{}.Select(text, value)
		if _, isSyntax := errors.AsType[*SyntaxError](err); isSyntax == passed {
			t.Fatalf("check passed: %v, select: %v", passed, err)
		}
		if err != nil {
			return
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("result %#v: %v", got, err)
		}
		if _, isText := got.(string); !isText && got != nil {
			if _, err := (Evaluator{}).Select(`parseJson(string_value)`, got); err != nil {
				t.Fatalf("result %#v: %v", got, err)
			}
		}
	})
}

// No panic; what CheckCondition passes fails only by its values.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{
		`int(inputs.parameter_values['a']) == 1`, `!(inputs.parameter_values['b'] == 'x')`,
		`inputs.parameter_values['c'] >= 0.5 && 'd' in inputs.parameter_values`, `parseJson(inputs.parameter_values['b'])[0]`,
	} {
		f.Add(text, "x")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		passed := CheckCondition(text) == nil
		_, err := Evaluator{}.Condition(text, map[string]any{"a": int64(1), "b": value, "c": 0.5, "d": nil})
		if _, isSyntax := errors.AsType[*SyntaxError](err); isSyntax && passed {
			t.Fatalf("check passed, condition: %v", err)
		}
	})
}

func BenchmarkCondition(b *testing.B) {
	inputs := map[string]any{"pipelinechannel--flip-Output": "heads"}
	for b.Loop() {
		if _, err := (Evaluator{}).Condition(`inputs.parameter_values['pipelinechannel--flip-Output'] == 'heads'`, inputs); err != nil {
			b.Fatal(err)
		}
	}
}
