package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// spec has a field of each kind that front ends use.
type spec struct {
	Name   string            `yaml:"name"`
	Count  int               `yaml:"count"`
	Small  int32             `yaml:"small"`
	Rate   float64           `yaml:"rate"`
	On     bool              `yaml:"on"`
	Args   []string          `yaml:"args"`
	Env    map[string]string `yaml:"env"`
	Inner  *spec             `yaml:"inner"`
	Any    any               `yaml:"any"`
	Upper  shouted           `yaml:"upper"`
	Raw    yaml.Node         `yaml:"raw"`
	Hidden int               // has no tag: is no field of the file
	Pos    Pos               `yaml:",pos"`
	At     map[string]Pos    `yaml:",posof"`
}

// shouted reads itself.
type shouted string

func (s *shouted) UnmarshalSource(d *Decoder, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return d.Errorf(n, "can't be shouted")
	}
	*s = shouted(strings.ToUpper(n.Value))
	return nil
}

func decode(text string, into any) error {
	f := &File{Name: "f.yaml", Text: []byte(text)}
	docs, err := f.Documents()
	if err != nil {
		return err
	}
	return f.Decode(docs[0], into)
}

func TestDecode(t *testing.T) {
	const text = `name: train
count: 10.0
rate: 1
on: true
args: [a, 1, true, 2.50]
env:
  A: "1"
  B: ~
inner:
  count: "12"
  rate: 1e-3
any: {a: [1, 2.0, x, null, true], b: 2001-01-01}
upper: loud
raw: [1]
`
	var got spec
	if err := decode(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Raw.Kind != yaml.SequenceNode || got.Raw.Line != 14 {
		t.Errorf("raw %+v", got.Raw)
	}
	got.Raw = yaml.Node{}
	want := spec{
		Name: "train", Count: 10, Rate: 1, On: true, Args: []string{"a", "1", "true", "2.50"}, Env: map[string]string{"A": "1", "B": ""},
		Inner: &spec{Count: 12, Rate: 0.001, Pos: Pos{10, 3}, At: map[string]Pos{"count": {10, 10}, "rate": {11, 9}}},
		Any:   map[string]any{"a": []any{int64(1), 2.0, "x", nil, true}, "b": "2001-01-01"}, Upper: "LOUD",
		Pos: Pos{1, 1}, At: map[string]Pos{
			"name": {1, 7}, "count": {2, 8}, "rate": {3, 7}, "on": {4, 5}, "args": {5, 7}, "env": {7, 3}, "inner": {10, 3},
			"any": {12, 6}, "upper": {13, 8}, "raw": {14, 6},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct {
		text, err, mend string
	}{
		{"nam: x", `1:1: unknown field "nam"`, `did you mean "name"?`},
		{"inner:\n  zzzzzz: 1", `2:3: unknown field "zzzzzz" in "inner"`, "known fields: any, args, count, env, inner, name, on, rate, raw, small, upper"},
		{"hidden: 1", `1:1: unknown field "hidden"`, "known fields: any, args, count, env, inner, name, on, rate, raw, small, upper"},
		{"name: a\ncount: 1\nname: b", `3:1: "name" is given twice`, ""},
		{"env: {A: 1, A: 2}", `1:13: "A" is given twice`, ""},
		{"any:\n  b: {a: 1, a: 2}", `2:13: "a" is given twice`, ""},
		{"[a]", `1:1: must be a mapping, not a list`, ""},
		{"text", `1:1: must be a mapping, not "text"`, ""},
		{"inner: text", `1:8: "inner" must be a mapping, not "text"`, ""},
		{"args: a", `1:7: "args" must be a list, not "a"`, ""},
		{"args: {a: 1}", `1:7: "args" must be a list, not a mapping`, ""},
		{"args: [a, [b]]", `1:11: "args" must be text, not a list`, ""},
		{"env: [A=1]", `1:6: "env" must be a mapping, not a list`, ""},
		{"env: {A: {B: 1}}", `1:10: "A" must be text, not a mapping`, ""},
		{"name: [x]", `1:7: "name" must be text, not a list`, ""},
		{"on: yes", `1:5: "on" must be true or false, not "yes"`, ""},
		{`on: "true"`, `1:5: "on" must be true or false, not "true"`, ""},
		{"on: 1", `1:5: "on" must be true or false, not "1"`, ""},
		{"count: 1.5", `1:8: "count" must be a whole number, not "1.5"`, ""},
		{"count: many", `1:8: "count" must be a whole number, not "many"`, ""},
		{"count: 9223372036854775808", `1:8: "count" must be a whole number, not "9223372036854775808"`, ""},
		{"small: 3000000000", `1:8: "small" must be a whole number, not "3000000000"`, ""},
		{"count: true", `1:8: "count" must be a whole number, not "true"`, ""},
		{"rate: fast", `1:7: "rate" must be a number, not "fast"`, ""},
		{"rate: inf", `1:7: "rate" must be a number, not "inf"`, ""},
		{"rate: nan", `1:7: "rate" must be a number, not "nan"`, ""},
		{"rate: .inf", `1:7: "rate" must be a number, not ".inf"`, ""},
		{"any: [.nan]", `1:7: .nan is not a JSON number`, ""},
		{"any: !!int abc", "1:6: cannot decode !!str `abc` as a !!int", ""},
		{"any: {[1]: 2}", "1:7: a name must be text, not a list or a mapping", ""},
		{"env: {{a: 1}: 2}", "1:7: a name must be text, not a list or a mapping", ""},
		{"? [name]\n: x", "1:3: a name must be text, not a list or a mapping", ""},
		{"upper: []", "1:8: can't be shouted", ""},
		{"on: " + strings.Repeat("é", 50), `1:5: "on" must be true or false, not "` + strings.Repeat("é", 40) + `…"`, ""},
	} {
		err := decode(tt.text, &spec{})
		var e *Error
		if !errors.As(err, &e) || e.Error() != "f.yaml:"+tt.err || e.Mend != tt.mend {
			t.Errorf("%s: got %v (%+v)\nwant f.yaml:%s (%s)", tt.text, err, e, tt.err, tt.mend)
		}
	}
}

func TestValue(t *testing.T) {
	for text, want := range map[string]any{
		"~":                      "null is no document",
		"7":                      int64(7),
		"0x10":                   int64(16),
		"2.0":                    2.0,
		"1e3":                    1000.0,
		"9223372036854775807":    int64(math.MaxInt64),
		"18446744073709551615":   18446744073709551615.0,
		`"7"`:                    "7",
		"yes":                    "yes",
		"2001-01-01":             "2001-01-01",
		"!!binary eA==":          "eA==",
		"!!str 7":                "7",
		"!!timestamp 2001-01-01": "2001-01-01",
		"!<tag:yaml.org,2002:timestamp> 2001-01-01": "2001-01-01",
		"!mine x":             "x",
		"|\n  a\n  b\n":       "a\nb\n",
		"[]":                  []any{},
		"{}":                  map[string]any{},
		"{1: a, true: b}":     map[string]any{"1": "a", "true": "b"},
		"a: &x [1]\nb: *x\n":  map[string]any{"a": []any{int64(1)}, "b": []any{int64(1)}},
		"a: &x k\n*x : v\n":   map[string]any{"a": "k", "k": "v"},
		"[é, \"\\u4e16\", 世]": []any{"é", "世", "世"},
	} {
		f := &File{Text: []byte(text)}
		docs, err := f.Documents()
		if text == "~" {
			if err == nil {
				t.Errorf("%q: %v", text, docs)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, err := f.Value(docs[0]); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: got %#v, %v; want %#v", text, got, err, want)
		}
	}
}

func TestInt(t *testing.T) {
	for _, tt := range []struct {
		x    any
		want int64
		ok   bool
	}{
		{int64(7), 7, true}, {7.0, 7, true}, {-7.0, -7, true}, {7.5, 0, false}, {"7", 0, false}, {nil, 0, false}, {true, 0, false},
		{float64(1 << 62), 1 << 62, true}, {float64(1 << 63), 0, false}, {math.Inf(1), 0, false}, {math.NaN(), 0, false},
	} {
		if got, ok := Int(tt.x); got != tt.want || ok != tt.ok {
			t.Errorf("Int(%v) = %d, %v; want %d, %v", tt.x, got, ok, tt.want, tt.ok)
		}
	}
}

// TestBombs asserts that what expands to more than it is, is refused in bounded
// time and memory.
func TestBombs(t *testing.T) {
	bomb := "any:\n  - &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("  - &a%d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	maps := "any:\n  - &m0 {a: 1}\n"
	for i := range 30 {
		maps += fmt.Sprintf("  - &m%d {a: *m%d, b: *m%d}\n", i+1, i, i)
	}
	for _, tt := range []struct {
		name, text, err string
	}{
		{"lists", bomb, "aliases expand to more than 2000000 values"},
		{"mappings", maps, "aliases expand to more than 2000000 values"},
		{"itself", "any: &a [*a]\n", "collections nest deeper than 500"},
		{"deep list", "any: " + strings.Repeat("[", 600) + strings.Repeat("]", 600), "collections nest deeper than 500"},
		{"deep blocks", "any:\n  " + strings.Repeat("- ", 600) + "x", "collections nest deeper than 500"},
		{"deep fields", strings.Repeat("{inner: ", 600) + "{}" + strings.Repeat("}", 600), "collections nest deeper than 500"},
		{"long text", "on: " + strings.Repeat("x", 3<<20), `"on" must be true or false, not "` + strings.Repeat("x", 40) + `…"`},
		{"long name", "? " + strings.Repeat("x", 3<<20) + "\n: 1", `unknown field "` + strings.Repeat("x", 80) + `…"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := decode(tt.text, &spec{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %s", err, tt.err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; took > 10*time.Second || spent > 1<<30 {
				t.Errorf("took %s and %d MiB", took, spent>>20)
			}
		})
	}
}

// FuzzDecode asserts that every document is decoded, to plain data that JSON can
// hold, or refused with a place in the file.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"name: x\ninner: {count: 2.0}\n", "any: {a: &x [1, .5], b: *x}", "any: &a [*a]", "env: {<<: {A: 1}}", "any: {<<: 1, ~: 2}",
		"any: !!timestamp 2001-01-01", "any: !!binary \"/w==\"", "any: !!float 1", "any: !!set {a}", "any: 0x7fffffffffffffffff", "any: 1e400", "on: !!bool \"true\"",
		"args: [~, !!null x]", "any: {? a}", "*a : 1", "count: 1_000", "any: 0o17", "any: !!merge x", "any: \"\\ud83d\"",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file := &File{Name: "f.yaml", Text: text}
		if badByte(text) >= 0 {
			return // Read refuses it
		}
		docs, err := file.Documents()
		if err != nil {
			checkError(t, text, err)
			return
		}
		for _, doc := range docs {
			var s spec
			checkError(t, text, file.Decode(doc, &s))
			x, err := file.Value(doc)
			checkError(t, text, err)
			if err == nil {
				checkPlain(t, x)
			}
		}
	})
}

func checkPlain(t *testing.T, x any) {
	t.Helper()
	if _, err := json.Marshal(x); err != nil {
		t.Fatalf("%#v: %v", x, err)
	}
	switch x := x.(type) {
	case nil, bool, int64, float64, string:
	case []any:
		for _, item := range x {
			checkPlain(t, item)
		}
	case map[string]any:
		for _, item := range x {
			checkPlain(t, item)
		}
	default:
		t.Fatalf("%T is not plain data", x)
	}
}
