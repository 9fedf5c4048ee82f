package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdJSON checks one value of a JSON file (or stdout).
//
//	json FILE PATH VALUE
//
// PATH is field names joined by dots; [x] takes the element of a list whose
// path, name, id or task is x, or the x-th one; len() is the length. VALUE is text or
// compact JSON; ~REGEXP matches either. With ! there must be no such value.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 && !(neg && len(args) == 2) {
		ts.Fatalf("usage: [!] json FILE PATH VALUE")
	}
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		ts.Fatalf("%s is not JSON: %v", args[0], err)
	}
	x, err := lookUp(doc, args[1])
	if neg && len(args) == 2 {
		if err == nil {
			ts.Fatalf("%s is there: %s", args[1], text(x))
		}
		return
	}
	ts.Check(err)
	if matches(text(x), args[2]) == neg {
		ts.Fatalf("%s is %s, want %s%s", args[1], text(x), map[bool]string{true: "not "}[neg], args[2])
	}
}

func matches(got, want string) bool {
	if pattern, ok := strings.CutPrefix(want, "~"); ok {
		return regexp.MustCompile(pattern).MatchString(got)
	}
	return got == want
}

func text(x any) string {
	if s, ok := x.(string); ok {
		return s
	}
	out, _ := json.Marshal(x)
	return string(out)
}

var segment = regexp.MustCompile(`\[[^\]]*(?:\[\d+\][^\]]*)*\]|[^.\[]+`)

func lookUp(x any, path string) (any, error) {
	for _, s := range segment.FindAllString(path, -1) {
		next, err := step(x, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		x = next
	}
	return x, nil
}

func step(x any, s string) (any, error) {
	switch x := x.(type) {
	case map[string]any:
		if s == "len()" {
			return len(x), nil
		}
		v, ok := x[s]
		if !ok {
			return nil, fmt.Errorf("no field %q in %s", s, text(x))
		}
		return v, nil
	case []any:
		if s == "len()" {
			return len(x), nil
		}
		return element(x, strings.Trim(s, "[]"))
	}
	return nil, fmt.Errorf("%q of %s", s, text(x))
}

func element(list []any, want string) (any, error) {
	for _, v := range list {
		m, _ := v.(map[string]any)
		for _, key := range []string{"path", "name", "id", "task"} {
			if got, ok := m[key]; ok && text(got) == want {
				return v, nil
			}
		}
	}
	if i, err := strconv.Atoi(want); err == nil && i >= 0 && i < len(list) {
		return list[i], nil
	}
	return nil, fmt.Errorf("no element %q in %s", want, text(list))
}
