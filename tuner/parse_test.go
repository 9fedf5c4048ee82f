package tuner_test

import (
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/tuner"
)

// TestParseParameter: the short form, and what is said of one that is wrong. What can be
// read is written again as it was.
func TestParseParameter(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"lr=log(1e-4,1e-1)", "lr=log(0.0001,0.1)"},
		{"d=uniform(0,0.5,0.1)", "d=uniform(0,0.5,0.1)"},
		{"d=normal(-1,1)", "d=normal(-1,1)"},
		{"n=int(2,12)", "n=int(2,12)"},
		{"n=int(2,12,2)", "n=int(2,12,2)"},
		{"b=logint(16,1024)", "b=logint(16,1024)"},
		{"u=discrete(96, 32,64)", "u=discrete(32,64,96)"},
		{"k=choice(rf, gb)", "k=choice(rf,gb)"},
		{"lr", `error: "lr" is not NAME=KIND(…)`},
		{"x=unifrom(0,1)", `error: x: there is no kind "unifrom"`},
		{"x=uniform(1,0)", "error: x: the smallest value 1 is larger than the largest 0"},
		{"x=uniform(0)", "error: x is to have a smallest and a largest value"},
		{"x=uniform(0,b)", `error: x: "b" is not a number`},
		{"x=uniform(0,inf)", "error: x: bounds are to be finite"},
		{"x=log(0,1)", "error: x: a logarithmic scale starts above 0"},
		{"n=int(0.5,3)", "error: n: bounds and step of an int are to be whole numbers"},
		{"k=choice()", "error: k: the list of values is empty"},
		{"k=choice(a,b,a)", `error: k: "a" is in the list twice`},
		{"u=discrete(1,b)", `error: u: "b" is not a number`},
	} {
		p, err := tuner.ParseParameter(tt.text, nil)
		if want, bad := strings.CutPrefix(tt.want, "error: "); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.text, err, want)
			}
			continue
		}
		if err != nil || tuner.FormatParameter(&p) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.text, tuner.FormatParameter(&p), err, tt.want)
		}
	}
}

func FuzzParseParameter(f *testing.F) {
	for _, s := range []string{"lr=log(1e-4,1e-1)", "k=choice(a,b)", "n=int(1,2,3)", "u=discrete(1,2)", "g=normal(0,1) if k=a"} {
		f.Add(s)
	}
	kind, err := tuner.ParseParameter("k=choice(a,b)", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := tuner.ParseParameter(s, []tuner.Parameter{kind})
		if err != nil {
			return
		}
		again, err := tuner.ParseParameter(tuner.FormatParameter(&p), nil)
		if err != nil || tuner.FormatParameter(&again) != tuner.FormatParameter(&p) {
			t.Errorf("%q: %q is read as %q, %v", s, tuner.FormatParameter(&p), tuner.FormatParameter(&again), err)
		}
	})
}
