package metrics_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/wherry-ml/wherry/tuner/metrics"
)

// looks feeds copies of one file, and returns the values that came.
func looks(t *testing.T, texts ...string) (*[]float64, *metrics.Copies) {
	t.Helper()
	var values []float64
	c := metrics.NewCollector([]string{"loss"}, func(batch []metrics.Observation) {
		for _, o := range batch {
			values = append(values, o.Value)
		}
	})
	copies := &metrics.Copies{Parser: func(string) metrics.Parser {
		p, err := metrics.NewText(c, metrics.TextOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}}
	for _, text := range texts {
		for again := true; again; {
			var err error
			if again, err = copies.Look("", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &values, copies
}

func TestCopies(t *testing.T) {
	for name, tt := range map[string]struct {
		texts []string
		want  []float64
	}{
		"a file that grows":                      {[]string{"", "loss=3\n", "loss=3\nloss=2\n", "loss=3\nloss=2\nloss=1\n"}, []float64{3, 2, 1}},
		"one that does not":                      {[]string{"loss=3\n", "loss=3\n", "loss=3\n"}, []float64{3}},
		"half a line":                            {[]string{"loss=3\nlo", "loss=3\nloss=2", "loss=3\nloss=25\n"}, []float64{3, 25}},
		"the last line without its end":          {[]string{"loss=3\nloss=2"}, []float64{3, 2}},
		"one that is shorter":                    {[]string{"loss=3\nloss=2\n", "loss=7\n"}, []float64{3, 2, 7}},
		"one that is rewritten, and longer":      {[]string{"loss=3\n", "loss=7\nloss=6\n"}, []float64{3, 7, 6}},
		"one that is rewritten, of equal length": {[]string{"loss=3\n", "loss=7\n"}, []float64{3, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			got, copies := looks(t, tt.texts...)
			copies.End()
			if !slices.Equal(*got, tt.want) {
				t.Errorf("%v, want %v", *got, tt.want)
			}
		})
	}
}

// TestCopiesBreak: a copy that breaks off is no other file.
func TestCopiesBreak(t *testing.T) {
	values, copies := looks(t, "loss=3\nloss=2\n")
	gone := errors.New("the connection is gone")
	for _, part := range []string{"", "loss=3\n"} {
		again, err := copies.Look("", io.MultiReader(strings.NewReader(part), iotest.ErrReader(gone)))
		if again || !errors.Is(err, gone) {
			t.Errorf("after %q: %v, %v", part, again, err)
		}
	}
	if again, err := copies.Look("", strings.NewReader("loss=3\nloss=2\nloss=1\n")); again || err != nil {
		t.Errorf("%v, %v", again, err)
	}
	if want := []float64{3, 2, 1}; !slices.Equal(*values, want) {
		t.Errorf("%v, want %v", *values, want)
	}
}
