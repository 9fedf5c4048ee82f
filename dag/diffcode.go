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
	p, q := containersOf(a, x.Component), containersOf(b, y.Component)
	for i := range min(len(p), len(q)) {
		c, d := &p[i], &q[i]
		prefix := ""
		if c.Name != "" && len(p) > 1 {
			prefix = c.Name + " "
		}
		out = append(out, compareWords(prefix+"command", plain(c.Command), plain(d.Command))...)
		out = append(out, compareWords(prefix+"args", plain(c.Args), plain(d.Args))...)
	}
	return out
}

// containersOf are those of a component; none where it runs none.
func containersOf(r *Run, component string) []Container {
	if c := r.Pipeline.Components[component]; c != nil && c.Pod != nil {
		return c.Pod.Containers
	}
	return nil
}

// compareWords compares two lists of words; those of several lines one by one.
func compareWords(name string, a, b []string) []CodeChange {
	if slices.Equal(a, b) {
		return nil
	}
	var out []CodeChange
	var restA, restB []string
	for i := range max(len(a), len(b)) {
		x, y := lineAt(a, i), lineAt(b, i)
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
