package metrics

import (
	"path"
	"strings"
	"time"
)

// EventsOptions say where an event file lies.
type EventsOptions struct {
	// Dir is the folder of the file as the trial sees it, for instance
	// /mnist-with-summaries-logs/test: metrics may be named after it.
	Dir    string
	Source string // see Observation
}

// Events reads scalars from a TensorFlow event file, as Katib's TensorFlowEvent
// collector does (pkg/metricscollector/v1beta1/tfevent-metricscollector/
// tfevent_loader.py), but while it grows, and without TensorFlow. Files of
// TensorFlow 1 and 2, Keras, PyTorch and tensorboardX hold scalars as plain
// values or as tensors: both are read; images, histograms and texts are not.
//
// Which tags are a metric's, by its name in the experiment:
//
//	accuracy       tag accuracy in any folder
//	test/accuracy  tag accuracy in a folder test; or the tag test/accuracy, which
//	               Katib does not find
//	accuracy       where there is no such tag: accuracy_1 and the like, which
//	               TensorFlow 1 makes of a name that is used twice; else the first
//	               tag that begins with accuracy
//
// Katib takes all tags that begin with the name at once, and so mixes accuracy
// and accuracy_top5; here a file gives each metric from one tag, and a better
// match takes the place of a worse one for the values that follow.
type Events struct {
	c       *Collector
	o       EventsOptions
	records records
	best    []match // by index of c.names
	batch   []Observation
	came    time.Time
}

// match is the tag that a metric is read from.
type match struct {
	tag  string
	rank int
}

// NewEvents returns an Events that feeds c.
func NewEvents(c *Collector, o EventsOptions) *Events {
	e := &Events{c: c, o: o, best: make([]match, len(c.names))}
	e.records = records{emit: e.event, problem: func(format string, args ...any) {
		c.problem(inSource(o.Source)+format, args...)
	}}
	return e
}

// Feed implements Parser.
func (e *Events) Feed(p []byte, at time.Time) {
	e.came = at
	e.records.feed(p)
}

// End implements Parser: a record that is there in part is left out.
func (e *Events) End() {
	if n := len(e.records.buf); n > 0 {
		e.records.problem("the last record is cut short, at byte %d", e.records.pos+int64(n))
	}
	e.Reset()
}

// Reset implements Parser.
func (e *Events) Reset() {
	e.records.pos += int64(len(e.records.buf))
	e.records.reset()
	e.records.skip, e.records.dead = 0, false
}

func (e *Events) event(data []byte, pos int64) {
	ev, err := readEvent(data)
	if err != nil {
		e.records.problem("the record that ends at byte %d is no event: %v", pos, err)
		return
	}
	if ev.time.IsZero() {
		ev.time = e.came
	}
	for _, s := range ev.scalars { // first all tags, so that the order within a summary makes no difference
		e.rank(s.tag)
	}
	e.batch = e.batch[:0]
	for _, s := range ev.scalars {
		for i, m := range e.best {
			if m.rank > 0 && m.tag == s.tag {
				e.batch = append(e.batch, Observation{Metric: e.c.names[i], Value: s.value, Time: ev.time, Step: ev.step})
			}
		}
	}
	e.c.emit(e.o.Source, pos, e.batch)
}

// rank lets a tag take the place of a worse one.
func (e *Events) rank(tag string) {
	matched := false
	for i, name := range e.c.names {
		rank := tagRank(name, e.o.Dir, tag)
		if rank > e.best[i].rank {
			e.best[i] = match{tag, rank}
		}
		matched = matched || e.best[i].tag == tag
	}
	if !matched {
		e.c.see([]byte(tag), false)
	}
}

// The ranks of a tag for a metric, better ones higher.
const (
	rankPrefix = iota + 1
	rankNumbered
	rankExact
)

// tagRank says how well a tag in a folder fits a metric's name; 0: not at all.
func tagRank(name, dir, tag string) int {
	if tag == name {
		return rankExact
	}
	folder, last := path.Split(name)
	if folder = strings.Trim(folder, "/"); folder != "" && !strings.HasSuffix("/"+strings.Trim(dir, "/"), "/"+folder) {
		return 0
	}
	rest, ok := strings.CutPrefix(tag, last)
	switch {
	case !ok || last == "":
		return 0
	case rest == "":
		return rankExact
	case rest[0] == '_' && len(rest) > 1 && digitsEnd([]byte(rest), 1) == len(rest):
		return rankNumbered
	}
	return rankPrefix
}
