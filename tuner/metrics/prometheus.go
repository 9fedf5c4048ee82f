package metrics

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// sample is one line of a Prometheus page.
type sample struct {
	name   string
	labels []label
	value  float64
	stamp  time.Time // zero where the line has none
}

type label struct{ name, value string }

// series is the sample's name and labels as they are written.
func (s sample) series() string {
	if len(s.labels) == 0 {
		return s.name
	}
	parts := make([]string, len(s.labels))
	for i, l := range s.labels {
		parts[i] = fmt.Sprintf("%s=%q", l.name, l.value)
	}
	return s.name + "{" + strings.Join(parts, ",") + "}"
}

// has says whether s has name and labels of want.
func (s sample) has(want sample) bool {
	if s.name != want.name {
		return false
	}
	for _, l := range want.labels {
		if !slices.Contains(s.labels, l) {
			return false
		}
	}
	return true
}

// parsePage reads the text format of Prometheus, version 0.0.4, and what is the
// same in OpenMetrics (https://prometheus.io/docs/instrumenting/
// exposition_formats): NAME{LABEL="VALUE",...} VALUE [TIME] [# exemplar]. Names
// in quotes, inside the braces, are read as well. Lines that can't be read are
// counted and left out. inSeconds: OpenMetrics gives times in seconds, the older
// format in milliseconds.
func parsePage(page []byte, inSeconds bool) (samples []sample, bad int) {
	for line := range bytes.Lines(page) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		s, ok := parseSample(string(line), inSeconds)
		if !ok {
			bad++
			continue
		}
		samples = append(samples, s)
	}
	return samples, bad
}

func parseSample(line string, inSeconds bool) (sample, bool) {
	var s sample
	end := strings.IndexAny(line, "{ \t")
	if end < 0 {
		return s, false
	}
	s.name = line[:end]
	rest := line[end:]
	if rest[0] == '{' {
		var ok bool
		if rest, ok = s.parseLabels(rest[1:]); !ok {
			return s, false
		}
	}
	words := strings.Fields(rest)
	if s.name == "" || len(words) == 0 {
		return s, false
	}
	var ok bool
	if s.value, ok = parseValue(words[0]); !ok {
		return s, false
	}
	if len(words) > 1 && words[1] != "#" {
		s.stamp, ok = parsePageTime(words[1], inSeconds)
	}
	return s, ok
}

func parsePageTime(text string, inSeconds bool) (time.Time, bool) {
	if inSeconds {
		return unixTime(text)
	}
	ms, ok := parseValue(text)
	if !ok || !(math.Abs(ms) < lastSecond*1000) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)).UTC(), true
}

// parseLabels reads what stands between braces, and returns what follows them.
func (s *sample) parseLabels(rest string) (string, bool) {
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if after, ok := strings.CutPrefix(rest, "}"); ok {
			return after, true
		}
		var name string
		var ok bool
		if strings.HasPrefix(rest, `"`) {
			if name, rest, ok = quoted(rest); !ok {
				return "", false
			}
		} else {
			end := strings.IndexAny(rest, "=,}\" \t")
			if end <= 0 {
				return "", false
			}
			name, rest = rest[:end], rest[end:]
		}
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, "=") { // {"the.name"}
			if s.name != "" {
				return "", false
			}
			s.name = name
			continue
		}
		var value string
		if value, rest, ok = quoted(strings.TrimLeft(rest[1:], " \t")); !ok {
			return "", false
		}
		s.labels = append(s.labels, label{name, value})
	}
}

// quoted reads a string in double quotes with \\, \" and \n in it.
func quoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], utf8.ValidString(b.String())
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			if s[i] == 'n' {
				b.WriteByte('\n')
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// parseSelector reads a metric's name in an experiment, which may have labels:
// accuracy, or accuracy{split="test"}.
func parseSelector(name string) (sample, error) {
	if !strings.ContainsAny(name, "{") {
		return sample{name: name}, nil
	}
	s, ok := parseSample(name+" 0", true)
	if !ok {
		return s, fmt.Errorf(`metric %q is not of the form name{label="value"}`, name)
	}
	return s, nil
}
