package sqlite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/dag"
)

// The values of package dag (nil, bool, int64, float64, string, []any and
// map[string]any) keep their types in JSON: a float64 is written with a point or
// an exponent, an int64 without. What JSON has no number for is {"$float": "NaN"}.

// nonFinite is the key of a float64 that JSON has no number for.
const nonFinite = "$float"

// encode returns v as JSON without loss. v may be a value of package dag or any
// structure that holds some.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// exact returns a copy of v that encoding/json writes without loss.
func exact(v any) any {
	switch v := v.(type) {
	case float64:
		return number(v)
	case map[string]any:
		return exactMap(v)
	case []any:
		if v == nil {
			return v
		}
		to := make([]any, len(v))
		for i := range v {
			to[i] = exact(v[i])
		}
		return to
	}
	return v
}

func exactMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	to := make(map[string]any, len(m))
	for k, v := range m {
		to[k] = exact(v)
	}
	return to
}

func number(f float64) any {
	switch {
	case math.IsNaN(f):
		return map[string]any{nonFinite: "NaN"}
	case math.IsInf(f, 1):
		return map[string]any{nonFinite: "+Inf"}
	case math.IsInf(f, -1):
		return map[string]any{nonFinite: "-Inf"}
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return json.Number(s)
}

// decode reads what encode wrote into the structure that to points at.
func decode(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("stored JSON: %w", err)
	}
	return nil
}

// inexact is the way back from exact.
func inexact(v any) any {
	switch v := v.(type) {
	case json.Number:
		return parseNumber(string(v))
	case map[string]any:
		if s, ok := v[nonFinite].(string); ok && len(v) == 1 {
			if f, err := strconv.ParseFloat(s, 64); err == nil {
				return f
			}
		}
		for k := range v {
			v[k] = inexact(v[k])
		}
	case []any:
		for i := range v {
			v[i] = inexact(v[i])
		}
	}
	return v
}

func parseNumber(s string) any {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
	}
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// encodeMap and decodeMap are for columns that hold one map; nil is "null".
func encodeMap(m map[string]any) (string, error) { return encode(exactMap(m)) }

func decodeMap(text string) (m map[string]any, err error) {
	err = decode(text, &m)
	for k := range m {
		m[k] = inexact(m[k])
	}
	return m, err
}

// encodePipeline and decodePipeline do the same to every field of type any,
// however deep.
func encodePipeline(p *dag.Pipeline) (string, error) {
	return encode(rewrite(reflect.ValueOf(p), exact).Interface())
}

func decodePipeline(text string) (*dag.Pipeline, error) {
	var p *dag.Pipeline
	if err := decode(text, &p); err != nil {
		return nil, err
	}
	return rewrite(reflect.ValueOf(p), inexact).Interface().(*dag.Pipeline), nil
}

// rewrite copies v and applies f to all that is in a field, map or slice of type
// any.
func rewrite(v reflect.Value, f func(any) any) reflect.Value {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		to := reflect.New(v.Type()).Elem()
		to.Set(reflect.ValueOf(f(v.Interface())))
		return to
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		to := reflect.New(v.Type().Elem())
		to.Elem().Set(rewrite(v.Elem(), f))
		return to
	case reflect.Struct:
		to := reflect.New(v.Type()).Elem()
		to.Set(v)
		for i := range v.NumField() {
			if to.Field(i).CanSet() {
				to.Field(i).Set(rewrite(v.Field(i), f))
			}
		}
		return to
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		to := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			to.SetMapIndex(it.Key(), rewrite(it.Value(), f))
		}
		return to
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return v
		}
		to := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			to.Index(i).Set(rewrite(v.Index(i), f))
		}
		return to
	}
	return v
}

// storedValues are dag.Values with artifacts by id.
type storedValues struct {
	Parameters map[string]any     `json:"parameters"`
	Artifacts  map[string][]int64 `json:"artifacts"`
}

// encodeValues writes values whose artifacts are all stored.
func encodeValues(v dag.Values) (string, error) {
	if v.Parameters == nil && v.Artifacts == nil {
		return "{}", nil
	}
	s := storedValues{Parameters: exactMap(v.Parameters)}
	if v.Artifacts != nil {
		s.Artifacts = make(map[string][]int64, len(v.Artifacts))
		for name, list := range v.Artifacts {
			ids := make([]int64, len(list))
			for i := range list {
				ids[i] = list[i].ID
			}
			s.Artifacts[name] = ids
		}
	}
	return encode(s)
}

// stored reads values whose artifacts are still to be looked up.
func decodeStored(text string) (s storedValues, err error) {
	if text == "{}" {
		return s, nil
	}
	err = decode(text, &s)
	for k := range s.Parameters {
		s.Parameters[k] = inexact(s.Parameters[k])
	}
	return s, err
}

// values fills in the artifacts.
func (s storedValues) values(artifacts map[int64]dag.Artifact) (dag.Values, error) {
	v := dag.Values{Parameters: s.Parameters}
	if s.Artifacts == nil {
		return v, nil
	}
	v.Artifacts = make(map[string][]dag.Artifact, len(s.Artifacts))
	for name, ids := range s.Artifacts {
		list := make([]dag.Artifact, len(ids))
		for i, id := range ids {
			a, ok := artifacts[id]
			if !ok {
				return v, fmt.Errorf("artifact %d of %q is not in the database", id, name)
			}
			list[i] = a
		}
		v.Artifacts[name] = list
	}
	return v, nil
}

func (s storedValues) ids(to map[int64]bool) {
	for _, list := range s.Artifacts {
		for _, id := range list {
			to[id] = true
		}
	}
}
