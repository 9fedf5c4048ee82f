package dag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// compareCode compares what the containers of a task run, as their pipelines have it.
func compareCode(a, b *Run, x, y *Execution) []CodeChange {
	out := []CodeChange{}
	p, q := a.Pipeline.Components[x.Component], b.Pipeline.Components[y.Component]
	if p == nil || q == nil || p.Pod == nil || q.Pod == nil {
		return out
	}
	for i := range min(len(p.Pod.Containers), len(q.Pod.Containers)) {
		c, d := &p.Pod.Containers[i], &q.Pod.Containers[i]
		prefix := ""
		if c.Name != "" && len(p.Pod.Containers) > 1 {
			prefix = c.Name + " "
		}
		out = append(out, compareWords(prefix+"command", plain(c.Command), plain(d.Command))...)
		out = append(out, compareWords(prefix+"args", plain(c.Args), plain(d.Args))...)
	}
	return out
}

// compareWords compares two lists of words; those of several lines one by one.
func compareWords(name string, a, b []string) []CodeChange {
	if slices.Equal(a, b) {
		return nil
	}
	var out []CodeChange
	var restA, restB []string
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if lines := strings.Contains(strings.TrimSpace(x), "\n") && strings.Contains(strings.TrimSpace(y), "\n"); lines {
			if x != y {
				out = append(out, CodeChange{Name: fmt.Sprintf("%s[%d]", name, i), Diff: LineDiff(x, y)})
			}
			continue
		}
		if i < len(a) {
			restA = append(restA, x)
		}
		if i < len(b) {
			restB = append(restB, y)
		}
	}
	if !slices.Equal(restA, restB) {
		out = append(out, CodeChange{Name: name, Diff: LineDiff(strings.Join(restA, "\n"), strings.Join(restB, "\n"))})
	}
	return out
}

// LineDiff is the unified diff of two texts, without a header; "" where they are
// equal.
func LineDiff(a, b string) string {
	whole := func(s string) []byte {
		if s != "" && !strings.HasSuffix(s, "\n") {
			s += "\n"
		}
		return []byte(s)
	}
	text := string(diff.Diff("a", whole(a), "b", whole(b)))
	for range 3 { // diff a b, --- a, +++ b
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}
