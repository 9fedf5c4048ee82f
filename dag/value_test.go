package dag

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseJSON(t *testing.T) {
	for _, tt := range []struct {
		text string
		want any
	}{
		{`null`, nil},
		{`true`, true},
		{`7`, int64(7)},
		{`-7`, int64(-7)},
		{`2.0`, 2.0},
		{`9223372036854775807`, int64(math.MaxInt64)},
		{`-9223372036854775808`, int64(math.MinInt64)},
		{`9223372036854775808`, 9223372036854775808.0},
		{`"7"`, "7"},
		{`"Grüße \u4e16"`, "Grüße 世"},
		{` [1, 2.5, {"a": 1}] `, []any{int64(1), 2.5, map[string]any{"a": int64(1)}}},
		{`{}`, map[string]any{}},
	} {
		got, err := ParseJSON([]byte(tt.text))
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("ParseJSON(%s) = %#v, %v; want %#v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{``, ` `, `{`, `1 2`, `1]`, `{}}`, `{} x`, `NaN`, `1e400`, `[-1e400]`, `{"a": 1e400}`, `'a'`, `True`} {
		if got, err := ParseJSON([]byte(text)); err == nil {
			t.Errorf("ParseJSON(%s) = %#v, want an error", text, got)
		}
	}
}

func TestFormatValue(t *testing.T) {
	for _, tt := range []struct {
		x    any
		want string
	}{
		{nil, "null"},
		{true, "true"},
		{int64(7), "7"},
		{7.0, "7"},
		{-0.5, "-0.5"},
		{1e21, "1000000000000000000000"},
		{1e-7, "0.0000001"},
		{int64(math.MaxInt64), "9223372036854775807"},
		{"", ""},
		{`say "hi" <b> & 世`, `say "hi" <b> & 世`},
		{[]any{int64(1), 2.0, 2.5, "a", nil}, `[1,2,2.5,"a",null]`},
		{map[string]any{"b": int64(7), "a": "<é>"}, `{"a":"<é>","b":7}`},
		{[]any{}, `[]`},
	} {
		if got := FormatValue(tt.x); got != tt.want {
			t.Errorf("FormatValue(%#v) = %s, want %s", tt.x, got, tt.want)
		}
	}
}

func TestCoerce(t *testing.T) {
	list, object := []any{int64(1)}, map[string]any{"a": int64(1)}
	for _, tt := range []struct {
		x    any
		typ  Type
		want any
		err  string
	}{
		{nil, TypeString, nil, ""},
		{nil, TypeInteger, nil, ""},
		{"a", TypeString, "a", ""},
		{7.0, TypeString, "7", ""},
		{int64(7), TypeString, "7", ""},
		{true, TypeString, "true", ""},
		{object, TypeString, `{"a":1}`, ""},
		{list, TypeString, `[1]`, ""},
		{2.0, TypeInteger, int64(2), ""},
		{int64(math.MaxInt64), TypeInteger, int64(math.MaxInt64), ""},
		{9223372036854775808.0, TypeInteger, nil, "must be a whole number, not 9223372036854776000"},
		{2.5, TypeInteger, nil, "must be a whole number, not 2.5"},
		{"2", TypeInteger, nil, `must be a whole number, not "2"`},
		{true, TypeInteger, nil, "must be a whole number, not true"},
		{int64(2), TypeDouble, 2.0, ""},
		{2.5, TypeDouble, 2.5, ""},
		{"2.5", TypeDouble, nil, `must be a number, not "2.5"`},
		{false, TypeBoolean, false, ""},
		{int64(1), TypeBoolean, nil, "must be true or false, not 1"},
		{list, TypeList, list, ""},
		{object, TypeList, nil, `must be a JSON list, not {"a":1}`},
		{object, TypeStruct, object, ""},
		{object, TypeFinal, object, ""},
		{object, TypeTaskConfig, object, ""},
		{list, TypeStruct, nil, "must be a JSON object, not [1]"},
		{list, TypeAny, list, ""},
		{2.0, TypeAny, 2.0, ""},
		{strings.Repeat("世", 200), TypeBoolean, nil, `must be true or false, not "` + strings.Repeat("世", 59) + "…"},
	} {
		got, err := Coerce(tt.x, tt.typ)
		if !cmp.Equal(got, tt.want) || errorText(err) != tt.err {
			t.Errorf("Coerce(%#v, %q) = %#v, %v; want %#v, %s", tt.x, tt.typ, got, err, tt.want, tt.err)
		}
	}
}

func TestParseText(t *testing.T) {
	for _, tt := range []struct {
		text string
		typ  Type
		want any
		err  string
	}{
		{" 7.0\n", TypeString, " 7.0\n", ""},
		{"", TypeString, "", ""},
		{"null", TypeString, "null", ""},
		{`{"a": 1}`, TypeAny, `{"a": 1}`, ""},
		{"7", TypeInteger, int64(7), ""},
		{" 2.0\n", TypeInteger, int64(2), ""},
		{"9007199254740993", TypeInteger, int64(9007199254740993), ""},
		{"9223372036854775808", TypeInteger, nil, `must be a whole number, not 9223372036854776000`},
		{"2.5", TypeInteger, nil, "must be a whole number, not 2.5"},
		{"two", TypeInteger, nil, `must be a whole number, not "two"`},
		{"", TypeInteger, nil, `must be a whole number, not ""`},
		{"7", TypeDouble, 7.0, ""},
		{"1e3", TypeDouble, 1000.0, ""},
		{"1e400", TypeDouble, nil, `must be a number, not "1e400"`},
		{"nan", TypeDouble, nil, `must be a number, not "nan"`},
		{"True", TypeBoolean, true, ""},
		{"false\n", TypeBoolean, false, ""},
		{"yes", TypeBoolean, nil, `must be true or false, not "yes"`},
		{"1", TypeBoolean, true, ""}, // as strconv.ParseBool, in KFP's launcher
		{"2", TypeBoolean, nil, `must be true or false, not 2`},
		{".5", TypeDouble, 0.5, ""},
		{"[1, 2.0]", TypeList, []any{int64(1), 2.0}, ""},
		{"1,2", TypeList, nil, `must be a JSON list, not "1,2"`},
		{`{"é": "世"}`, TypeStruct, map[string]any{"é": "世"}, ""},
		{"null", TypeStruct, nil, ""},
	} {
		got, err := ParseText(tt.text, tt.typ)
		if !cmp.Equal(got, tt.want) || errorText(err) != tt.err {
			t.Errorf("ParseText(%q, %q) = %#v, %v; want %#v, %s", tt.text, tt.typ, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParseText asserts that what is accepted is of its type, and that its text is
// read as the same value again.
func FuzzParseText(f *testing.F) {
	types := []Type{TypeAny, TypeString, TypeInteger, TypeDouble, TypeBoolean, TypeList, TypeStruct}
	for i, text := range []string{"a", "7.0", "1e3", "True", `[1, [2.0, null], {"a": "\u0000"}]`, `{"a": -0.0}`, "1e400", "9223372036854775808"} {
		f.Add(text, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		typ := types[int(which)%len(types)]
		x, err := ParseText(text, typ)
		if err != nil || x == nil {
			return
		}
		if y, err := Coerce(x, typ); err != nil || !cmp.Equal(x, y) {
			t.Fatalf("ParseText(%q, %s) = %#v, which is not of that type: %v", text, typ, x, err)
		}
		if _, err := json.Marshal(x); err != nil {
			t.Fatalf("ParseText(%q, %s) = %#v: %v", text, typ, x, err)
		}
		again, err := ParseText(FormatValue(x), typ)
		if err != nil || FormatValue(again) != FormatValue(x) {
			t.Fatalf("%q is read as %#v, and its text as %#v, %v", text, x, again, err)
		}
	})
}

func TestBind(t *testing.T) {
	p := &Pipeline{Root: "root", Components: map[string]*Component{"root": {Name: "root", Inputs: Inputs{Parameters: map[string]*Parameter{
		"epochs":        {Type: TypeInteger, HasDefault: true, Default: int64(3)},
		"learning_rate": {Type: TypeDouble, HasDefault: true, Default: 0.1},
		"note":          {Type: TypeString, Optional: true},
		"optimizer":     {Type: TypeString, HasDefault: true, Default: "sgd", Literals: []any{"sgd", "adam"}},
		"size":          {Type: TypeInteger, HasDefault: true, Default: int64(1), Literals: []any{int64(1), int64(2)}},
		"table":         {Type: TypeString},
	}}}}}
	defaults := map[string]any{"epochs": int64(3), "learning_rate": 0.1, "optimizer": "sgd", "size": int64(1), "table": "t"}
	with := func(name string, x any) map[string]any {
		m := map[string]any{}
		for k, v := range defaults {
			m[k] = v
		}
		m[name] = x
		return m
	}
	for _, tt := range []struct {
		name   string
		text   map[string]string
		values map[string]any
		want   map[string]any
		err    string
		hint   string
	}{
		{"defaults", map[string]string{"table": "t"}, nil, defaults, "", ""},
		{"file over default", nil, map[string]any{"table": "t", "epochs": 5.0}, with("epochs", int64(5)), "", ""},
		{"flag over file", map[string]string{"epochs": "6"}, map[string]any{"table": "t", "epochs": 5.0}, with("epochs", int64(6)), "", ""},
		{"text stays text", map[string]string{"table": "7.0"}, nil, with("table", "7.0"), "", ""},
		{"number for a STRING", nil, map[string]any{"table": int64(7)}, with("table", "7"), "", ""},
		{"optional", map[string]string{"table": "t", "note": "n"}, nil, with("note", "n"), "", ""},
		{"null is the default", map[string]string{"table": "t", "epochs": "null"}, nil, defaults, "", ""},
		{"literal", map[string]string{"table": "t", "optimizer": "adam"}, nil, with("optimizer", "adam"), "", ""},
		{"whole literal", nil, map[string]any{"table": "t", "size": 2.0}, with("size", int64(2)), "", ""},
		{"required", nil, nil, nil, `parameter "table" is required and has no value`, "-p table=VALUE"},
		{"null for a required one", nil, map[string]any{"table": nil}, nil, `parameter "table" is required and has no value`, "-p table=VALUE"},
		{"nearest", map[string]string{"table": "t", "learning_rat": "1"}, nil, nil, `parameter "learning_rat" is not one of this pipeline's`, `did you mean "learning_rate"?`},
		{"no near name", nil, map[string]any{"x": 1}, nil, `parameter "x" is not one of this pipeline's`, "its parameters: epochs, learning_rate, note, optimizer, size, table"},
		{"bad flag", map[string]string{"epochs": "many"}, nil, nil, `parameter "epochs" must be a whole number, not "many"`, "-p epochs=VALUE with VALUE as JSON"},
		{"bad value in file", nil, map[string]any{"epochs": "many"}, nil, `parameter "epochs" must be a whole number, not "many"`, "give it as -p epochs=VALUE, or correct it in the file of parameters"},
		{"no literal", map[string]string{"table": "t", "optimizer": "rms"}, nil, nil, `parameter "optimizer" must be one of ["sgd","adam"], not "rms"`, "-p optimizer=sgd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.Bind(tt.text, tt.values)
			if errorText(err) != tt.err {
				t.Fatalf("error %v, want %s", err, tt.err)
			}
			var pe *ParameterError
			if errors.As(err, &pe) && pe.Hint() != tt.hint {
				t.Errorf("hint %q, want %q", pe.Hint(), tt.hint)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	bare := &Pipeline{Root: "root", Components: map[string]*Component{"root": {}}}
	_, err := bare.Bind(map[string]string{"x": "1"}, nil)
	var pe *ParameterError
	if !errors.As(err, &pe) || pe.Hint() != "this pipeline has no parameters" {
		t.Errorf("Bind without parameters: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
