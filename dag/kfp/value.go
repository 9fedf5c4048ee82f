package kfp

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// convert returns a value as its type has it: the compiler writes 10 as 10.0.
// Null is a value of every type. Other than when a run binds its parameters, a
// STRING must be text.
func convert(t dag.Type, v any) (any, error) {
	if _, isText := v.(string); t == dag.TypeString && !isText && v != nil {
		return nil, fmt.Errorf("must be text, not %s", show(v))
	}
	return dag.Coerce(v, t)
}

// show writes a value as JSON, shortened, for a message.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	return clip(string(b))
}

// parseType returns the parameter's type; legacy is the older field, which the
// newer one wins over.
func parseType(t, legacy text) (dag.Type, error) {
	switch typ := dag.Type(t.Value); typ {
	case dag.TypeString, dag.TypeInteger, dag.TypeDouble, dag.TypeBoolean, dag.TypeList,
		dag.TypeStruct, dag.TypeFinal, dag.TypeTaskConfig:
		return typ, nil
	case "", "PARAMETER_TYPE_ENUM_UNSPECIFIED":
	default:
		return "", fmt.Errorf("unknown parameterType %q", t.Value)
	}
	switch legacy.Value {
	case "INT":
		return dag.TypeInteger, nil
	case "DOUBLE":
		return dag.TypeDouble, nil
	case "STRING":
		return dag.TypeString, nil
	case "", "PRIMITIVE_TYPE_UNSPECIFIED":
		return dag.TypeAny, nil
	}
	return "", fmt.Errorf("unknown type %q", legacy.Value)
}

// parseDuration parses proto JSON's form of a duration: "3600s", "0.5s".
func parseDuration(s string) (time.Duration, error) {
	seconds, ok := strings.CutSuffix(s, "s")
	if !ok || strings.Trim(seconds, "0123456789.") != "" {
		return 0, fmt.Errorf("%q is not a duration in seconds, like \"30s\"", clip(s))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration in seconds, like \"30s\"", clip(s))
	}
	return d, nil
}

// maxCopied is how much the placeholders of one file may repeat its constants.
const maxCopied = 16 << 20

// size is about how many bytes v takes as JSON.
func size(v any) int {
	n := 0
	switch x := v.(type) {
	case string:
		n = len(x)
	case []any:
		for _, e := range x {
			n += size(e)
		}
	case map[string]any:
		for k, e := range x {
			n += len(k) + size(e)
		}
	}
	return n + 8
}

// eachString calls f for every string in v, keys included.
func eachString(v any, f func(string)) {
	switch x := v.(type) {
	case string:
		f(x)
	case []any:
		for _, e := range x {
			eachString(e, f)
		}
	case map[string]any:
		for k, e := range x {
			f(k)
			eachString(e, f)
		}
	}
}
