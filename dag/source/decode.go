package source

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/spell"
)

// maxNodes bounds the values that one document may expand to, aliases included:
// a bomb of a kilobyte expands to billions.
const maxNodes = 2_000_000

// Unmarshaler is implemented by types that read themselves from a node.
type Unmarshaler interface {
	UnmarshalSource(d *Decoder, n *yaml.Node) error
}

// Decoder turns nodes into typed values. Every error has a position.
type Decoder struct {
	file  *File
	nodes int
	depth int
}

// Decode fills the struct that into points to from the node, strictly: fields
// are named by their yaml tags, an unknown or repeated one is an error that
// names the nearest known field. A field of type Pos tagged ",pos" receives the
// node's position, one of type map[string]Pos tagged ",posof" the position of
// each field's value. A field of type any receives what Value returns.
func (f *File) Decode(n *yaml.Node, into any) error {
	d := &Decoder{file: f}
	return d.Decode(n, into)
}

// Value returns the node as nil, bool, int64, float64, string, []any or
// map[string]any.
func (f *File) Value(n *yaml.Node) (any, error) {
	d := &Decoder{file: f}
	return d.value(n)
}

// PosOf returns the position of a node.
func PosOf(n *yaml.Node) Pos { return Pos{Line: n.Line, Col: n.Column} }

// Errorf returns an error about a node.
func (d *Decoder) Errorf(n *yaml.Node, format string, args ...any) *Error {
	return d.file.Errorf(PosOf(n), format, args...)
}

// Decode decodes the node into what into points to.
func (d *Decoder) Decode(n *yaml.Node, into any) error {
	return d.decode(n, reflect.ValueOf(into).Elem(), "")
}

func (d *Decoder) enter(n *yaml.Node) (*yaml.Node, error) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, d.Errorf(n, "aliases expand to more than %d values", maxNodes)
	}
	if d.depth > maxDepth {
		return nil, d.Errorf(n, "collections nest deeper than %d", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias, nil
	}
	return n, nil
}

func (d *Decoder) decode(n *yaml.Node, v reflect.Value, name string) error {
	n, err := d.enter(n)
	if err != nil {
		return err
	}
	d.depth++
	defer func() { d.depth-- }()
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Unmarshaler); ok {
			return u.UnmarshalSource(d, n)
		}
	}
	if n.Tag == "!!null" && v.Kind() != reflect.Interface {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(n, v.Elem(), name)
	case reflect.Interface:
		x, err := d.value(n)
		if err == nil && x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	case reflect.Struct:
		return d.decodeStruct(n, v, name)
	case reflect.Map:
		return d.decodeMap(n, v, name)
	case reflect.Slice:
		return d.decodeSlice(n, v, name)
	default:
		return d.decodeScalar(n, v, name)
	}
}

func (d *Decoder) decodeStruct(n *yaml.Node, v reflect.Value, name string) error {
	if node, ok := v.Addr().Interface().(*yaml.Node); ok {
		*node = *n
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, name, "a mapping")
	}
	fields := map[string]reflect.Value{}
	var posOf reflect.Value
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		switch tag {
		case "", "-":
		case ",pos":
			v.Field(i).Set(reflect.ValueOf(PosOf(n)))
		case ",posof":
			posOf = v.Field(i)
			posOf.Set(reflect.MakeMap(posOf.Type()))
		default:
			fields[tag] = v.Field(i)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, value := n.Content[i], n.Content[i+1]
		key, err := d.key(at)
		if err != nil {
			return err
		}
		field, ok := fields[key]
		if !ok {
			return d.unknown(at, key, name, fields)
		}
		if seen[key] {
			return d.Errorf(at, "%q is given twice", key)
		}
		seen[key] = true
		if posOf.IsValid() {
			posOf.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(PosOf(value)))
		}
		if err := d.decode(value, field, key); err != nil {
			return err
		}
	}
	return nil
}

// key returns the name of a mapping's entry, which must be plain text.
func (d *Decoder) key(n *yaml.Node) (string, error) {
	text := n
	if n.Kind == yaml.AliasNode {
		text = n.Alias
	}
	if text.Kind != yaml.ScalarNode {
		return "", d.Errorf(n, "a name must be text, not a list or a mapping")
	}
	return text.Value, nil
}

func (d *Decoder) unknown(at *yaml.Node, key, name string, fields map[string]reflect.Value) error {
	known := make([]string, 0, len(fields))
	for f := range fields {
		known = append(known, f)
	}
	where := ""
	if name != "" {
		where = fmt.Sprintf(" in %q", name)
	}
	err := d.Errorf(at, "unknown field %q%s", clip(key, 80), where)
	if near := Nearest(key, known); near != "" {
		return err.WithMend("did you mean %q?", near)
	}
	slices.Sort(known)
	return err.WithMend("known fields: %s", strings.Join(known, ", "))
}

func (d *Decoder) decodeMap(n *yaml.Node, v reflect.Value, name string) error {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, name, "a mapping")
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, value := n.Content[i], n.Content[i+1]
		key, err := d.key(at)
		if err != nil {
			return err
		}
		k := reflect.ValueOf(key).Convert(v.Type().Key())
		if m.MapIndex(k).IsValid() {
			return d.Errorf(at, "%q is given twice", key)
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(value, elem, key); err != nil {
			return err
		}
		m.SetMapIndex(k, elem)
	}
	v.Set(m)
	return nil
}

func (d *Decoder) decodeSlice(n *yaml.Node, v reflect.Value, name string) error {
	if n.Kind != yaml.SequenceNode {
		return d.mismatch(n, name, "a list")
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if err := d.decode(item, s.Index(i), name); err != nil {
			return err
		}
	}
	v.Set(s)
	return nil
}

func (d *Decoder) decodeScalar(n *yaml.Node, v reflect.Value, name string) error {
	if n.Kind != yaml.ScalarNode {
		return d.mismatch(n, name, kindWord(v.Kind()))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if err != nil || n.Tag != "!!bool" {
			return d.mismatch(n, name, "true or false")
		}
		v.SetBool(b)
		return nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		x, err := d.value(n)
		if err != nil {
			return err
		}
		i, ok := Int(x)
		if s, isText := x.(string); !ok && isText { // proto JSON writes int64 as text
			i, err = strconv.ParseInt(s, 10, 64)
			ok = err == nil
		}
		if !ok || v.OverflowInt(i) {
			return d.mismatch(n, name, "a whole number")
		}
		v.SetInt(i)
		return nil
	case reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return d.mismatch(n, name, "a number")
		}
		v.SetFloat(x)
		return nil
	}
	return d.Errorf(n, "%q: no reader for %s", name, v.Type())
}

func kindWord(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	default:
		return "a number"
	}
}

func (d *Decoder) mismatch(n *yaml.Node, name, want string) error {
	got := "a mapping"
	switch n.Kind {
	case yaml.SequenceNode:
		got = "a list"
	case yaml.ScalarNode:
		got = strconv.Quote(clip(n.Value, 40))
	}
	if name == "" {
		return d.Errorf(n, "must be %s, not %s", want, got)
	}
	return d.Errorf(n, "%q must be %s, not %s", name, want, got)
}

func clip(s string, n int) string {
	i := 0
	for at := range s {
		if i == n {
			return s[:at] + "…"
		}
		i++
	}
	return s
}

// value returns the node as plain data.
func (d *Decoder) value(n *yaml.Node) (any, error) {
	n, err := d.enter(n)
	if err != nil {
		return nil, err
	}
	d.depth++
	defer func() { d.depth-- }()
	switch n.Kind {
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			if list[i], err = d.value(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, err := d.key(n.Content[i])
			if err != nil {
				return nil, err
			}
			if _, ok := m[key]; ok {
				return nil, d.Errorf(n.Content[i], "%q is given twice", key)
			}
			if m[key], err = d.value(n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return d.scalar(n)
}

func (d *Decoder) scalar(n *yaml.Node) (any, error) {
	var x any
	switch n.ShortTag() {
	case "!!timestamp", "!!binary", "!!merge": // as written: people mean text
		return n.Value, nil
	}
	if err := n.Decode(&x); err != nil {
		return nil, d.Errorf(n, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	switch x := x.(type) {
	case int:
		return int64(x), nil
	case uint64:
		return float64(x), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, d.Errorf(n, "%s is not a JSON number", n.Value)
		}
		return x, nil
	}
	return x, nil
}

// Int returns a whole number, given as int64 or as a float without a fraction
// (KFP's compiler writes 10 as 10.0).
func Int(x any) (int64, bool) {
	switch x := x.(type) {
	case int64:
		return x, true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<63 {
			return int64(x), true
		}
	}
	return 0, false
}

// Nearest returns the candidate that a person who wrote name most likely meant,
// or "" where none is near.
func Nearest(name string, candidates []string) string {
	length := len([]rune(name))
	best, at := "", length/3+1
	slices.Sort(candidates)
	for _, c := range candidates {
		if other := len([]rune(c)); max(other-length, length-other) > at {
			continue // further away than that, whatever the letters: names may be long
		}
		if d := spell.Distance(strings.ToLower(name), strings.ToLower(c)); d <= at && c != name {
			if d < at || best == "" {
				best, at = c, d
			}
		}
	}
	return best
}
