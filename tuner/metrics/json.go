package metrics

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxJSONLine  = 1 << 20 // bytes
	timestampKey = "timestamp"
	lastSecond   = 253402300800 // the year 10000
)

// JSONOptions say where a stream of JSON comes from; see TextOptions.
type JSONOptions struct {
	Source string
	Start  int64
}

// JSON reads metrics from lines that are a JSON object each, as Katib's File
// collector does with format JSON (pkg/metricscollector/v1beta1/
// file-metricscollector/file-metricscollector.go, parseLogsInJsonFormat):
//
//	{"epoch": 1, "accuracy": "0.9", "loss": 0.1, "timestamp": 1638422847.28721}
//
// A value is a number or a string that holds one; Katib drops numbers. Python's
// NaN, Infinity and -Infinity are read. The time is that of the key timestamp,
// seconds since 1970 or RFC 3339, else when the line came. (Katib reads the digits
// after the point as nanoseconds, so that 1.5 is 1.000000005.)
//
// A line that is no object is left out and remembered; Katib refuses the whole
// file. A line longer than 1 MiB is left out too.
type JSON struct {
	c     *Collector
	o     JSONOptions
	lines lines
	batch []Observation
	came  time.Time
}

// NewJSON returns a JSON that feeds c.
func NewJSON(c *Collector, o JSONOptions) *JSON {
	j := &JSON{c: c, o: o}
	j.lines = lines{limit: maxJSONLine, emit: j.object, pos: o.Start, tooLong: func(pos int64) {
		c.problem("%sthe line at byte %d is longer than 1 MiB", inSource(o.Source), pos)
	}}
	return j
}

// Feed implements Parser.
func (j *JSON) Feed(p []byte, at time.Time) {
	j.came = at
	j.lines.feed(p)
}

// End implements Parser.
func (j *JSON) End() { j.lines.end() }

// Reset implements Parser.
func (j *JSON) Reset() { j.lines.reset() }

func (j *JSON) object(line []byte, pos int64, _ bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	object, err := readObject(line)
	if err != nil {
		j.c.problem("%sa line is not a JSON object: %.40q", inSource(j.o.Source), line)
		return
	}
	at := j.came
	if raw, ok := object[timestampKey]; ok {
		if t, ok := parseTimestamp(raw); ok {
			at = t
		}
	}
	j.batch = j.batch[:0]
	for _, name := range j.c.names {
		if raw, ok := object[name]; ok {
			j.value(name, raw, at)
			delete(object, name)
		}
	}
	delete(object, timestampKey)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if _, ok := jsonNumber(object[key]); ok {
			j.c.see([]byte(key), false)
		}
	}
	j.c.emit(j.o.Source, pos, j.batch)
}

func (j *JSON) value(name string, raw json.RawMessage, at time.Time) {
	v, ok := jsonNumber(raw)
	if !ok {
		if string(raw) != "null" {
			j.c.problem("%s%s has a value that is not a number: %.40s", inSource(j.o.Source), name, raw)
		}
		return
	}
	j.batch = append(j.batch, Observation{Metric: name, Value: v, Time: at, Step: -1})
}

// readObject reads one object; of a key that is there twice the last counts.
func readObject(line []byte) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	err := json.Unmarshal(line, &object)
	if err != nil {
		err = json.Unmarshal(quoteConstants(line), &object)
	}
	if err == nil && object == nil {
		err = errNull
	}
	return object, err
}

var errNull = errors.New("null is no object")

// quoteConstants puts quotes around the bare words that Python writes for floats
// that JSON has no numbers for.
func quoteConstants(line []byte) []byte {
	var out []byte
	for i := 0; i < len(line); {
		if line[i] == '"' {
			end := stringEnd(line, i)
			out = append(out, line[i:end]...)
			i = end
			continue
		}
		word := constantAt(line[i:])
		if word == "" {
			out = append(out, line[i])
			i++
			continue
		}
		out = append(append(append(out, '"'), word...), '"')
		i += len(word)
	}
	return out
}

func constantAt(b []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(b, []byte(word)) {
			return word
		}
	}
	return ""
}

// stringEnd returns where the JSON string ends that begins at i.
func stringEnd(line []byte, i int) int {
	for i++; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(line)
}

// jsonNumber reads a number, or a string that holds one.
func jsonNumber(raw json.RawMessage) (float64, bool) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil {
			return 0, false
		}
		text = strings.TrimSpace(text)
	}
	return parseValue(text)
}

// parseTimestamp reads seconds since 1970, or RFC 3339.
func parseTimestamp(raw json.RawMessage) (time.Time, bool) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil {
			return time.Time{}, false
		}
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return t, true
		}
	}
	return unixTime(text)
}

// unixTime reads seconds since 1970. Plain decimals are not rounded to a float64,
// whose steps are 240 ns by now.
func unixTime(text string) (time.Time, bool) {
	whole, part, _ := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && sec >= 0 && sec < lastSecond && digitsEnd([]byte(part), 0) == len(part) {
		nsec, _ := strconv.ParseInt((part + "000000000")[:9], 10, 64)
		return time.Unix(sec, nsec).UTC(), true
	}
	v, ok := parseValue(text)
	if !ok {
		return time.Time{}, false
	}
	t := floatTime(v)
	return t, !t.IsZero()
}

// inSource begins a message about a source.
func inSource(source string) string {
	if source == "" {
		return ""
	}
	return source + ": "
}
