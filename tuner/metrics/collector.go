package metrics

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	maxSeen     = 64  // other metrics that are remembered
	maxSeenName = 120 // bytes of such a name
	maxProblems = 5
)

// Collector gathers what the parsers of one trial find. All methods are safe for
// concurrent use.
type Collector struct {
	names []string       // the objective's metric first
	index map[string]int // of names
	sink  Sink

	mu       sync.Mutex
	counts   []int64          // by index of names
	known    map[string]int64 // source: up to where its observations are on record
	seen     map[string]seen
	order    []string // of seen
	more     bool     // there were more than maxSeen
	problems []string
	hidden   int // problems beyond maxProblems
}

// seen is what a metric looked like that doesn't count.
type seen struct{ colon bool }

// NewCollector returns a collector of the metrics that names lists, the
// objective's first; a name that is there twice counts once. What is found goes
// to sink.
func NewCollector(names []string, sink Sink) *Collector {
	c := &Collector{index: map[string]int{}, sink: sink, seen: map[string]seen{}}
	for _, name := range names {
		if _, ok := c.index[name]; !ok {
			c.index[name] = len(c.names)
			c.names = append(c.names, name)
		}
	}
	c.counts = make([]int64, len(c.names))
	return c
}

// Resume is called before anything is fed, after a crash, with what is on record:
// the highest Pos of each source, and how many observations of each metric. The
// parsers are then fed from the beginning again, since a form or a rank may depend
// on what came before; what is on record goes no further and is not counted again.
// Who can't have a stream from its beginning gives the parser's Start, and no
// known for it. See ScrapeOptions.Last for what can't be read twice.
func (c *Collector) Resume(known, counts map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = known
	for name, n := range counts {
		if i, ok := c.index[name]; ok {
			c.counts[i] = n
		}
	}
}

// Push takes one value that came by a call. A zero time is now. It reports false
// for a metric that the experiment doesn't name, which is remembered as seen.
func (c *Collector) Push(metric string, value float64, at time.Time) bool {
	if _, ok := c.index[metric]; !ok {
		c.see([]byte(metric), false)
		return false
	}
	if at.IsZero() {
		at = time.Now()
	}
	c.emit("", 0, []Observation{{Metric: metric, Value: value, Time: at, Step: -1}})
	return true
}

// emit counts a batch and hands it on, unless it is on record.
func (c *Collector) emit(source string, pos int64, batch []Observation) {
	if len(batch) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if pos > 0 && pos <= c.known[source] {
		return
	}
	for i := range batch {
		o := &batch[i]
		n := &c.counts[c.index[o.Metric]]
		*n++
		o.N, o.Source, o.Pos = *n, source, pos
	}
	c.sink(batch)
}

// see remembers a metric that doesn't count; colon: it was written `name: value`.
func (c *Collector) see(name []byte, colon bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.seen[string(name)]; ok {
		return
	}
	if len(c.order) >= maxSeen || len(name) > maxSeenName {
		c.more = true
		return
	}
	c.seen[string(name)] = seen{colon}
	c.order = append(c.order, string(name))
}

// Problem remembers, for UnavailableError, why something could not be read.
func (c *Collector) Problem(format string, args ...any) { c.problem(format, args...) }

// problem remembers what could not be read.
func (c *Collector) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) >= maxProblems {
		c.hidden++
		return
	}
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.problems, text) {
		c.problems = append(c.problems, text)
	}
}

// Problems lists the first things that could not be read, in words.
func (c *Collector) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.Clone(c.problems)
	if c.hidden > 0 {
		list = append(list, fmt.Sprintf("and %d more", c.hidden))
	}
	return list
}

// Missing lists the metrics that never came, in the experiment's order.
func (c *Collector) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for i, name := range c.names {
		if c.counts[i] == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// Err is nil once the objective's metric has come, else an *UnavailableError.
// Katib then calls the trial MetricsUnavailable.
func (c *Collector) Err() error {
	if len(c.names) == 0 || !slices.Contains(c.Missing(), c.names[0]) {
		return nil
	}
	return c.Unavailable(c.names[0])
}
