package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"
)

// same reports whether got is what want allows. Numbers are equal by value (2 and
// 2.0), and to nine digits; true is no number. A mapping with a key that begins with
// $ is a marker: {"$type": "number"}, {"$one_of": […]}, {"$between": [a, b]},
// {"$length": n, "$sha256": "…"}.
func same(want, got any) bool {
	switch w := want.(type) {
	case map[string]any:
		if ok, marker := marked(w, got); marker {
			return ok
		}
		g, ok := got.(map[string]any)
		return ok && len(g) == len(w) && holds(w, g)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !same(w[i], g[i]) {
				return false
			}
		}
		return true
	case float64:
		g, ok := got.(float64)
		return ok && (w == g || math.Abs(w-g) < 1e-9*max(1, math.Abs(w)))
	}
	return scalar(got) && want == got
}

// holds reports whether got has all that want names; it may have more.
func holds(want, got map[string]any) bool {
	for k, v := range want {
		g, ok := got[k]
		if !ok || !same(v, g) {
			return false
		}
	}
	return true
}

// scalar reports whether == may be asked of x.
func scalar(x any) bool {
	switch x.(type) {
	case nil, bool, string, float64:
		return true
	}
	return false
}

func marked(want map[string]any, got any) (ok, marker bool) {
	number, isNumber := got.(float64)
	text, isText := got.(string)
	switch {
	case want["$type"] == "number":
		return isNumber, true
	case want["$type"] == "string":
		return isText, true
	case want["$one_of"] != nil:
		for _, w := range want["$one_of"].([]any) {
			if same(w, got) {
				return true, true
			}
		}
		return false, true
	case want["$between"] != nil:
		b := want["$between"].([]any)
		return isNumber && b[0].(float64) <= number && number <= b[1].(float64), true
	case want["$length"] != nil:
		sum := sha256.Sum256([]byte(text))
		return isText && float64(len([]rune(text))) == want["$length"] && hex.EncodeToString(sum[:]) == want["$sha256"], true
	}
	return false, false
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{`1`, `1.0`, true}, {`1`, `"1"`, false}, {`1`, `true`, false}, {`0`, `false`, false}, {`null`, `null`, true}, {`null`, `0`, false},
		{`0.1`, `0.10000000000000001`, true}, {`0.1`, `0.1001`, false}, {`"a"`, `["a"]`, false},
		{`{"a": [1]}`, `{"a": [1.0]}`, true}, {`{"a": 1}`, `{"a": 1, "b": 2}`, false}, {`{}`, `[]`, false}, {`[]`, `{}`, false},
		{`{"$type": "number"}`, `3`, true}, {`{"$type": "number"}`, `true`, false}, {`{"$type": "string"}`, `""`, true}, {`{"$type": "string"}`, `1`, false},
		{`{"$one_of": ["a", 1]}`, `1`, true}, {`{"$one_of": ["a", 1]}`, `"b"`, false},
		{`{"$between": [2, 5]}`, `5`, true}, {`{"$between": [2, 5]}`, `6`, false}, {`{"$between": [2, 5]}`, `"3"`, false},
		{`{"$length": 1, "$sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}`, `"a"`, true},
		{`{"$length": 1, "$sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}`, `"b"`, false},
	} {
		var want, got any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c.got), &got); err != nil {
			t.Fatal(err)
		}
		if same(want, got) != c.ok {
			t.Errorf("want %s, got %s: %v", c.want, c.got, !c.ok)
		}
	}
}
