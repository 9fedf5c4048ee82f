package cel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// exact is 2⁵³: doubles hold every whole number up to there.
const exact = 1 << 53

// adapter shows our values to CEL, their parts only when they are asked for.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case int64:
		if -exact <= v && v <= exact {
			return types.Double(v)
		}
	case []any:
		return types.NewDynamicList(a, v)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// native returns a result as a value.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("gives %d, which is too large", v)
		}
		return int64(v), nil
	case types.Double:
		return number(float64(v))
	case types.String:
		return string(v), nil
	case traits.Lister:
		return nativeList(v)
	case traits.Mapper:
		return nativeMap(v)
	}
	return nil, fmt.Errorf("gives %s, not a JSON value", typeName(v))
}

// number returns a double as JSON text would be read: whole ones as int64.
func number(f float64) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fmt.Errorf("gives %v, not a JSON number", f)
	case f == math.Trunc(f) && math.Abs(f) <= exact:
		return int64(f), nil
	}
	return f, nil
}

func nativeList(l traits.Lister) (any, error) {
	list := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		x, err := native(it.Next())
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

func nativeMap(m traits.Mapper) (any, error) {
	fields := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("gives a map with a key that is no text: %v", key.Value())
		}
		x, err := native(m.Get(key))
		if err != nil {
			return nil, err
		}
		fields[string(name)] = x
	}
	return fields, nil
}

func typeName(v ref.Val) string {
	if v == nil {
		return "nothing"
	}
	return v.Type().TypeName()
}

// parseJSON is the function parseJson.
func parseJSON(arg ref.Val) ref.Val {
	text, ok := arg.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(arg)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var x any
	err := dec.Decode(&x)
	if err == nil {
		if _, end := dec.Token(); end != io.EOF {
			err = fmt.Errorf("more than one value")
		}
	}
	if err == nil {
		x, err = numbers(x)
	}
	if err != nil {
		return types.NewErr("parseJson: %s is not JSON: %s", clip(string(text)), err)
	}
	return adapter{}.NativeToValue(x)
}

// numbers replaces json.Number all through a decoded value.
func numbers(x any) (_ any, err error) {
	switch x := x.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i, nil
		}
		return x.Float64()
	case []any:
		for i := range x {
			if x[i], err = numbers(x[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range x {
			if x[k], err = numbers(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// parseCost is that of reading the text once.
func parseCost(args []ref.Val, _ ref.Val) *uint64 {
	c := uint64(1)
	if s, ok := args[0].(types.String); ok {
		c += uint64(len(s)) / 10
	}
	return &c
}

// formatValue returns the text that string_value stands for: strings as they
// are, null as nothing, everything else as JSON.
func formatValue(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
