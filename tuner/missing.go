package tuner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// unavailable says what came instead of an objective's metric.
func (e *Experiment) unavailable(t *Trial, seen []string) string {
	var missing []string
	for _, o := range e.Objectives {
		if m := t.metric(o.Metric); m == nil {
			missing = append(missing, o.Metric)
		} else if m.Min != m.Min {
			return fmt.Sprintf("metric %s was never a number (%d values, all NaN)", o.Metric, m.Count)
		}
	}
	text := fmt.Sprintf("metric %s never came", strings.Join(missing, ", "))
	for _, m := range t.Summary {
		seen = append(seen, m.Name)
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	if len(seen) == 0 {
		return text + "; nothing that looks like a metric did"
	}
	text += "; seen instead: " + strings.Join(seen[:min(len(seen), 10)], ", ")
	if n := source.Nearest(missing[0], seen); n != "" {
		text += fmt.Sprintf("; did you mean %q?", n)
	}
	return text
}
