package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// maxLine is the longest line, in bytes, that Text reads as one.
const maxLine = 64 << 10

// TextOptions say what a metric looks like in a text.
type TextOptions struct {
	// Filters are Katib's source.filter.metricsFormat: regular expressions whose
	// first group is a metric's name and whose second is its value. None: the
	// default filter, `name=value`.
	Filters []string
	// Colon takes `name: value` as well, where there are no filters; quotes
	// around the name are allowed. A metric that has come as `name=value` once
	// counts in that form only. Leave it false for a Katib Experiment: a line
	// "accuracy: 0.9" is none of its values on a cluster, so it must be none
	// here; UnavailableError then says that the metric came in this form. Set it
	// for whatever comes from elsewhere.
	Colon bool
	// Source and Start: see Observation and Collector.Resume. Start is how many
	// bytes of the stream came before the first that is fed.
	Source string
	Start  int64
}

// Text reads metrics from lines of text, as Katib's StdOut and File collectors
// do (pkg/metricscollector/v1beta1/file-metricscollector/
// file-metricscollector.go, parseLogsInTextFormat): every match in a line counts,
// filter by filter; a word at the beginning of a line that is a time in RFC 3339,
// followed by a space, is the time of the line's values, else the time at which
// it came. A value that is not a number is left out (Katib keeps it as text).
//
// Lines longer than 64 KiB are read in pieces of at most that, cut where no
// metric is; so memory is bounded whatever a trial prints.
type Text struct {
	c       *Collector
	o       TextOptions
	filters []*regexp.Regexp
	lines   lines
	equals  []bool // by index of c.names: came as name=value
	batch   []Observation

	came  time.Time // when the bytes at hand came
	stamp time.Time // what the line at hand begins with, or zero
}

// NewText returns a Text that feeds c. An error names the filter that is none.
func NewText(c *Collector, o TextOptions) (*Text, error) {
	t := &Text{c: c, o: o, equals: make([]bool, len(c.names))}
	for i, filter := range o.Filters {
		re, err := regexp.Compile(filter)
		if err == nil && re.NumSubexp() < 2 {
			err = errors.New("it needs two groups, one for the name and one for the value")
		}
		if err != nil {
			return nil, fmt.Errorf("metricsFormat[%d] %q: %w", i, filter, err)
		}
		t.filters = append(t.filters, re)
	}
	t.lines = lines{limit: maxLine, emit: t.line, cut: cutText, pos: o.Start}
	return t, nil
}

// Feed implements Parser.
func (t *Text) Feed(p []byte, at time.Time) {
	t.came = at
	t.lines.feed(p)
}

// End implements Parser.
func (t *Text) End() { t.lines.end() }

// Reset implements Parser.
func (t *Text) Reset() { t.lines.reset() }

func (t *Text) line(line []byte, pos int64, first bool) {
	if len(line) == 0 {
		return
	}
	if first {
		t.stamp = time.Time{}
		if isDigit(line[0]) {
			t.stamp = leadingTime(line)
		}
	}
	t.batch = t.batch[:0]
	if len(t.filters) > 0 {
		t.filter(line)
	} else {
		t.scan(line)
	}
	t.c.emit(t.o.Source, pos, t.batch)
}

// scan reads a line by the default filter.
func (t *Text) scan(line []byte) {
	for p, ok := nextPair(line, 0, true); ok; p, ok = nextPair(line, p.end, true) {
		i, wanted := t.c.index[string(p.name)]
		switch {
		case !wanted || p.colon && !t.o.Colon:
			if len(p.value) > 0 && !numberName(p.name) {
				t.c.see(p.name, p.colon)
			}
		case p.colon && t.equals[i]:
		default:
			if t.value(i, p.value) && !p.colon {
				t.equals[i] = true
			}
		}
	}
}

// filter reads a line by the experiment's own filters.
func (t *Text) filter(line []byte) {
	for _, re := range t.filters {
		for _, m := range re.FindAllSubmatch(line, -1) {
			name := bytes.TrimSpace(m[1])
			if i, ok := t.c.index[string(name)]; ok {
				t.value(i, bytes.TrimSpace(m[2]))
			} else if len(name) > 0 {
				t.c.see(name, false)
			}
		}
	}
}

// value adds a value of the metric of index i to the batch, if it is a number.
func (t *Text) value(i int, text []byte) bool {
	v, ok := parseValue(string(text))
	if !ok {
		t.c.problem("%s has a value that is not a number: %.40q", t.c.names[i], text)
		return false
	}
	at := t.stamp
	if at.IsZero() {
		at = t.came
	}
	t.batch = append(t.batch, Observation{Metric: t.c.names[i], Value: v, Time: at, Step: -1})
	return true
}

// parseValue reads a number, nan or inf. What is too large for a float64 is
// infinite.
func parseValue(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}

// leadingTime returns the time that line begins with, or zero.
func leadingTime(line []byte) time.Time {
	const shortest, longest = len("2006-01-02T15:04:05Z"), len(time.RFC3339Nano)
	if len(line) <= shortest || line[4] != '-' || line[10] != 'T' {
		return time.Time{}
	}
	n := bytes.IndexByte(line[:min(len(line), longest+1)], ' ')
	if n < 0 {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(line[:n]))
	if err != nil {
		return time.Time{}
	}
	return at
}

// numberName says whether name has no letter: `3=4` is no metric.
func numberName(name []byte) bool {
	for _, b := range name {
		if !isDigit(b) && b != '-' && b != '|' && b != '_' {
			return false
		}
	}
	return true
}
