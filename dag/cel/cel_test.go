package cel

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCondition(t *testing.T) {
	inputs := map[string]any{
		"n": int64(7), "half": 0.5, "whole": 7.0, "text": "heads", "flag": true, "none": nil,
		"big":  int64(math.MaxInt64),
		"list": []any{int64(1), "b"}, "struct": map[string]any{"a": map[string]any{"b": int64(2)}},
		"json": `{"a": [1, 2.5]}`, "it's": "odd",
	}
	tests := []struct {
		text string
		want bool
	}{
		// What the SDK writes.
		{`int(inputs.parameter_values['n']) == 7`, true},
		{`int(inputs.parameter_values['n']) > 7`, false},
		{`!(int(inputs.parameter_values['n']) > 7)`, true},
		{`int(inputs.parameter_values['whole']) == 7`, true},
		{`double(int(inputs.parameter_values['n'])) >= inputs.parameter_values['half']`, true},
		{`inputs.parameter_values['half'] < 1.0`, true},
		{`inputs.parameter_values['text'] == 'heads'`, true},
		{`inputs.parameter_values['text'] != 'heads'`, false},
		{`inputs.parameter_values['flag'] == true`, true},
		{`!(inputs.parameter_values['text'] == 'tails') && int(inputs.parameter_values['n']) < 8`, true},
		{`inputs.parameter_values['text'] == 'tails' || inputs.parameter_values['flag'] == true`, true},
		// Numbers of both kinds compare; a text is no number.
		{`inputs.parameter_values['n'] == 7`, true},
		{`inputs.parameter_values['n'] == 7.0`, true},
		{`inputs.parameter_values['n'] <= 7`, true},
		{`inputs.parameter_values['n'] == '7'`, false},
		{`string(int(inputs.parameter_values['n'])) == '7'`, true},
		{`inputs.parameter_values['n'] / 2.0 == 3.5`, true},
		{`int(inputs.parameter_values['big']) == 9223372036854775807`, true},
		// Null equals only null.
		{`inputs.parameter_values['none'] == null`, true},
		{`inputs.parameter_values['none'] == 'a'`, false},
		{`'none' in inputs.parameter_values`, true},
		{`'gone' in inputs.parameter_values`, false},
		{`has(inputs.parameter_values.gone)`, false},
		{`has(inputs.parameter_values.n) && inputs.parameter_values.n == 7`, true},
		// An error on one side doesn't matter where the other decides.
		{`inputs.parameter_values['gone'] == 'a' || true`, true},
		{`inputs.parameter_values['list'][1] == 'b'`, true},
		{`inputs.parameter_values['list'] == [1, 'b']`, true},
		{`inputs.parameter_values['struct']['a'].b == 2`, true},
		{`parseJson(inputs.parameter_values['json'])['a'][1] == 2.5`, true},
		{`parseJson(inputs.parameter_values['json']).a.exists(x, x == 1)`, true},
		{`inputs.parameter_values['it\'s'] == 'odd'`, true},
	}
	for _, test := range tests {
		got, err := Evaluator{}.Condition(test.text, inputs)
		if err != nil || got != test.want {
			t.Errorf("%s: got %v, %v; want %v", test.text, got, err, test.want)
		}
		if err := CheckCondition(test.text); err != nil {
			t.Errorf("check %s: %v", test.text, err)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	inputs := map[string]any{"n": int64(7), "text": "seven", "none": nil}
	for text, want := range map[string]string{
		`inputs.parameter_values['gone'] == 'a'`:       "no such key: gone",
		`int(inputs.parameter_values['text']) == 7`:    "type conversion error from 'string' to 'int'",
		`int(inputs.parameter_values['none']) == 7`:    "no such overload",
		`inputs.parameter_values['text'] > 3`:          "no such overload",
		`inputs.parameter_values['n']`:                 "gives double, not true or false",
		`parseJson(inputs.parameter_values['n']) == 1`: "no such overload",
		`parseJson('{') == 1`:                          `parseJson: "{" is not JSON: unexpected EOF`,
		`parseJson('1 2') == 1`:                        `parseJson: "1 2" is not JSON: more than one value`,
	} {
		_, err := Evaluator{}.Condition(text, inputs)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v; want %q", text, err, want)
		}
	}
	if _, err := (Evaluator{}).Condition(`inputs.parameter_values['a'] == 1`, nil); err == nil {
		t.Error("no inputs at all: no error")
	}
}

func TestSelect(t *testing.T) {
	row := map[string]any{"a": "A", "n": int64(3), "f": 2.5, "z": nil, "l": []any{int64(1), true}, "s": map[string]any{"b": "<B>"}}
	tests := []struct {
		text  string
		value any
		want  any
	}{
		{`string_value`, "Hello", "Hello"},
		{`string_value`, nil, ""},
		{`string_value`, int64(3), "3"},
		{`string_value`, 1e6, "1000000"},
		{`string_value`, true, "true"},
		{`string_value`, []any{int64(1), 2.5, "a"}, `[1,2.5,"a"]`},
		{`string_value`, map[string]any{"b": int64(1), "a": "<>"}, `{"a":"<>","b":1}`},
		{`parseJson(string_value)["a"]`, row, "A"},
		{`parseJson(string_value)["n"]`, row, int64(3)},
		{`parseJson(string_value)["f"]`, row, 2.5},
		{`parseJson(string_value)["z"]`, row, nil},
		{`parseJson(string_value)["l"]`, row, []any{int64(1), true}},
		{`parseJson(string_value)["s"]["b"]`, row, "<B>"},
		{`parseJson(string_value)`, row, row},
		{`parseJson(string_value)[0]`, "[1.1,1.2]", 1.1},
		{`parseJson(string_value)[1]["x"]`, []any{nil, map[string]any{"x": []any{}}}, []any{}},
		{`parseJson(string_value)["id"]`, `{"id": 9223372036854775807}`, int64(math.MaxInt64)},
		{`struct_value.s`, row, map[string]any{"b": "<B>"}},
		{`struct_value.l[1]`, row, true},
		{`list_value[0]`, []any{"x"}, "x"},
		{`list_value.map(x, x * 2.0)`, []any{int64(1), 0.25}, []any{int64(2), 0.5}},
		{`number_value + 1.0`, int64(1), int64(2)},
		{`bool_value`, false, false},
		{`null_value`, nil, nil},
		{`size(string_value)`, "abc", int64(3)},
	}
	for _, test := range tests {
		got, err := Evaluator{}.Select(test.text, test.value)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%s of %v: got %#v, %v; want %#v", test.text, test.value, got, err, test.want)
		}
		if err := CheckSelector(test.text); err != nil {
			t.Errorf("check %s: %v", test.text, err)
		}
	}
}

func TestSelectErrors(t *testing.T) {
	tests := []struct {
		text  string
		value any
		want  string
	}{
		{`parseJson(string_value)["x"]`, map[string]any{"a": "A"}, "no such key: x"},
		{`parseJson(string_value)[3]`, []any{int64(1)}, "index out of bounds: 3"},
		{`parseJson(string_value)["a"]`, "not json", "is not JSON"},
		{`parseJson(string_value)["a"]`, nil, "is not JSON"},
		{`struct_value.a`, "text", "the value has no struct_value, only string_value"},
		{`b'bytes'`, "", "gives bytes, not a JSON value"},
		{`1.0 / 0.0`, "", "not a JSON number"},
		{`{1: 2}`, "", "a key that is no text"},
		{`18446744073709551615u`, "", "too large"},
		{`string_value`, make(chan int), "unsupported type"},
	}
	for _, test := range tests {
		_, err := Evaluator{}.Select(test.text, test.value)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %v: got error %v; want %q", test.text, test.value, err, test.want)
		}
	}
}

func TestCheckSaysWhere(t *testing.T) {
	tests := []struct {
		check     func(string) error
		text      string
		line, col int
		reason    string
	}{
		{CheckCondition, `inputs.parameter_values['a'] == `, 1, 33, "Syntax error"},
		{CheckCondition, "true &&\n  foo == 1", 2, 3, "undeclared reference to 'foo'"},
		{CheckCondition, `inputs.artifacts['a'] == 1`, 1, 1, "undeclared reference to 'inputs'"},
		{CheckCondition, `inputs.parameter_values['it's'] == 'a'`, 1, 29, "Syntax error"},
		{CheckCondition, `int(1) == 'a'`, 1, 8, "found no matching overload"},
		{CheckCondition, `int(inputs.parameter_values['a']) > 1.5`, 1, 35, "found no matching overload"},
		{CheckCondition, `1 + 2`, 1, 1, "gives int, not true or false"},
		{CheckCondition, ``, 1, 1, "Syntax error"},
		{CheckSelector, `parseJson(value)["a"]`, 1, 11, "undeclared reference to 'value'"},
		{CheckSelector, `parseYaml(string_value)`, 1, 10, "undeclared reference to 'parseYaml'"},
		{CheckSelector, strings.Repeat("1+", MaxSize) + "1", 1, 1, "longer than"},
		{CheckSelector, strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000), 1, 1, "recursion"},
	}
	for _, test := range tests {
		err := test.check(test.text)
		at, ok := errors.AsType[*SyntaxError](err)
		if !ok || !strings.Contains(at.Reason, test.reason) || at.Line != test.line || at.Col != test.col {
			t.Errorf("%.60q: got %#v; want %d:%d %s", test.text, err, test.line, test.col, test.reason)
		}
		if ok && len(at.Error()) > 300 {
			t.Errorf("%.60q: message of %d bytes", test.text, len(at.Error()))
		}
	}
}

// An expression can ask for more work than there is time for.
func TestWorkIsBounded(t *testing.T) {
	hundred := "[" + strings.Repeat("0,", 99) + "0]"
	nested := strings.Repeat(hundred+".map(x, ", 6) + "x" + strings.Repeat(")", 6)
	list := make([]any, 2_000)
	start := time.Now()
	for _, text := range []string{
		nested,
		`list_value.exists(x, list_value.exists(y, x != null || y != null))`,
		`list_value.map(x, string_value).map(x, x + x + x + x).size()`,
		`list_value.map(x, parseJson(string_value)).size()`,
		`list_value.all(x, !string_value.matches('(l|n|u)*x'))`,
	} {
		if _, err := (Evaluator{cost: maxCost / 100}).Select(text, list); err == nil || !strings.Contains(err.Error(), "takes too much work") {
			t.Errorf("%.60s…: got error %v", text, err)
		}
	}
	if _, err := (Evaluator{}).Select(nested, list); err == nil || !strings.Contains(err.Error(), "takes too much work") {
		t.Errorf("by default: got error %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// A value of some megabytes is ordinary.
func TestLargeValue(t *testing.T) {
	list := make([]any, 500_000)
	for i := range list {
		list[i] = "0123456789"
	}
	got, err := Evaluator{}.Select(`parseJson(string_value)[499999]`, list)
	if err != nil || got != "0123456789" {
		t.Errorf("got %v, %v", got, err)
	}
}
