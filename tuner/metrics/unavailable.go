package metrics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/spell"
)

const maxListed = 10 // names in a message

// UnavailableError says that a metric never came, and what came instead.
type UnavailableError struct {
	Metric    string
	Objective bool     // it is the objective's, not an additional one
	Seen      []string // other metrics, in the order in which they first came, at most 64
	More      bool     // there were more
	Near      string   // the one of Seen that was most likely meant, or empty
	Colon     bool     // Metric itself came, but written `name: value`, which was not asked for
	Problems  []string // what could not be read
}

// Unavailable describes the state of a metric that never came.
func (c *Collector) Unavailable(metric string) *UnavailableError {
	e := &UnavailableError{Metric: metric, Problems: c.Problems()}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Objective = len(c.names) > 0 && metric == c.names[0]
	e.More = c.more
	for _, name := range c.order {
		if name == metric {
			e.Colon = c.seen[name].colon
			continue
		}
		e.Seen = append(e.Seen, name)
	}
	e.Near = nearest(metric, e.Seen)
	return e
}

func (e *UnavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "metric %q never came", e.Metric)
	switch {
	case e.Colon:
		fmt.Fprintf(&b, " as %s=value, only as \"%s: value\"", e.Metric, e.Metric)
	case len(e.Seen) > 0:
		fmt.Fprintf(&b, "; seen instead: %s", strings.Join(e.Seen[:min(len(e.Seen), maxListed)], ", "))
		if e.More || len(e.Seen) > maxListed {
			b.WriteString(" and more")
		}
	default:
		b.WriteString("; nothing that looks like a metric was seen")
	}
	if len(e.Problems) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(e.Problems, "; "))
	}
	return b.String()
}

// Hint is what to do about it.
func (e *UnavailableError) Hint() string {
	switch {
	case e.Colon:
		return `metricsCollectorSpec: {source: {filter: {metricsFormat: ['([\w|-]+)\s*:\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)']}}}`
	case e.Near != "" && e.Objective:
		return "objectiveMetricName: " + yamlName(e.Near)
	case e.Near != "":
		return "additionalMetricNames: [" + yamlName(e.Near) + "]"
	case len(e.Seen) == 0:
		return fmt.Sprintf("print a line %s=VALUE in the trial, as it goes on", e.Metric)
	}
	return ""
}

// yamlName quotes a name where YAML would read something else.
func yamlName(name string) string {
	if strings.ContainsAny(name, "{}[],:#\"' ") {
		return "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	if _, err := strconv.ParseFloat(name, 64); err == nil {
		return strconv.Quote(name)
	}
	return name
}

// nearest returns the candidate that was most likely meant by name, or "": one
// that differs by little, or by case and punctuation only, or one of which all
// words are beginnings of words of the other (acc, accuracy; val_acc,
// Validation-accuracy; loss, train/loss).
func nearest(name string, candidates []string) string {
	best, least := "", 1<<30
	for _, c := range candidates {
		d := spell.Distance(strings.ToLower(name), strings.ToLower(c))
		if d > len(name)/3 && !abbreviates(name, c) && !abbreviates(c, name) {
			continue
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// abbreviates says whether each word of short, of two letters or more, is the
// beginning of a word of long, in order.
func abbreviates(short, long string) bool {
	all := words(long)
	some := words(short)
	for _, w := range some {
		i := slices.IndexFunc(all, func(o string) bool { return len(w) > 1 && strings.HasPrefix(o, w) })
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return len(some) > 0
}

func words(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	})
}
