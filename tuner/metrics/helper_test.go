package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// gather is a collector and what came out of it.
type gather struct {
	*Collector
	all []Observation
}

func collect(names ...string) *gather {
	g := &gather{}
	g.Collector = NewCollector(names, func(batch []Observation) { g.all = append(g.all, batch...) })
	return g
}

// String is one observation a line: metric value, and step and time where they
// are not those of a source that has none.
func (g *gather) String() string {
	var b strings.Builder
	for _, o := range g.all {
		fmt.Fprintf(&b, "%s %s", o.Metric, Format(o.Value))
		if o.Step >= 0 {
			fmt.Fprintf(&b, " step %d", o.Step)
		}
		if !o.Time.Equal(noon) {
			fmt.Fprintf(&b, " at %s", o.Time.UTC().Format(time.RFC3339Nano))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// full says everything of each observation.
func (g *gather) full() string {
	var b strings.Builder
	for _, o := range g.all {
		fmt.Fprintf(&b, "%+v\n", o)
	}
	return b.String()
}

func newText(t testing.TB, c *Collector, o TextOptions) *Text {
	t.Helper()
	p, err := NewText(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cutUp feeds input in chunks of random sizes.
func cutUp(t *rapid.T, p Parser, input []byte) {
	for len(input) > 0 {
		n := rapid.IntRange(1, len(input)).Draw(t, "chunk")
		p.Feed(input[:n], noon)
		input = input[n:]
	}
	p.End()
}

// feedAll feeds input in one piece.
func feedAll(p Parser, input []byte) {
	p.Feed(input, noon)
	p.End()
}
