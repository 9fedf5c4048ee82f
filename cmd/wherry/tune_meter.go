package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// meter finds a trial's metrics in what its run writes.
type meter struct {
	e         *tuner.Experiment
	collector *metrics.Collector
	observe   func(tuner.Observed)

	mu      sync.Mutex // of the collector's sink, and of these
	scraped string     // stream of what is scraped
	counts  map[string]int64
	attempt map[string]int
	readers map[string]*metricsFiles // by task
}

func newMeter(e *tuner.Experiment, observe func(tuner.Observed)) (*meter, error) {
	m := &meter{e: e, observe: observe, counts: map[string]int64{}, attempt: map[string]int{}}
	m.collector = metrics.NewCollector(e.Metrics(), m.sink)
	_, err := m.text("") // says what is wrong with a filter
	return m, err
}

// sink hands on what a stream said, with its numbers in that stream.
func (m *meter) sink(batch []metrics.Observation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream := batch[0].Source
	o := tuner.Observed{Stream: stream, Attempt: m.attempt[stream], First: m.counts[stream], List: slices.Clone(batch)}
	if stream == "" && m.scraped != "" {
		o.Stream, o.Attempt, o.First = m.scraped, m.attempt[m.scraped], -1
	}
	m.counts[stream] += int64(len(batch))
	m.observe(o)
}

// begin has a stream counted from its beginning.
func (m *meter) begin(stream string, attempt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempt[stream], m.counts[stream] = attempt, 0
}

// scrape gives what has no source of its own the name of a stream, which goes on where
// it is on record.
func (m *meter) scrape(stream string, attempt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scraped, m.attempt[stream] = stream, attempt
}

func (m *meter) text(stream string) (*metrics.Text, error) {
	c := m.e.Collector
	return metrics.NewText(m.collector, metrics.TextOptions{Filters: c.Filters, Colon: c.Kind == tuner.Outputs, Source: stream})
}

// wants reports whether a task may say something of metrics.
func (m *meter) wants(x *dag.Execution) bool {
	switch m.e.Collector.Kind {
	case tuner.Push, tuner.NoCollector:
		return false
	}
	return x.Kind.Runs() && (m.e.Trial.Primary == "" || m.e.Trial.Primary == x.Path)
}

// inFiles reports whether metrics lie in files; else they are in logs.
func (m *meter) inFiles() bool {
	return m.e.Collector.Kind == tuner.File || m.e.Collector.Kind == tuner.TensorFlowEvent
}

// missing says what came in place of the objective's metric; empty where that did.
func (m *meter) missing() string {
	err := m.collector.Err()
	if err == nil {
		return ""
	}
	switch m.e.Collector.Kind {
	case tuner.NoCollector, tuner.Push:
		return fmt.Sprintf("nobody reported %s: with the collector %s nothing that the trial writes is read (StdOut and File do that)",
			m.e.Objectives[0].Metric, m.e.Collector.Kind)
	}
	hint := hintText(err)
	if e, ok := errors.AsType[*metrics.UnavailableError](err); ok && len(e.Seen) == 0 && !e.Colon {
		switch c := m.e.Collector; {
		case m.inFiles():
			hint = "let the primary container write it to " + c.Path
		case c.Kind == tuner.Prometheus:
			hint = fmt.Sprintf("let the trial show it at port %d, %s, for more than %s", c.Port, c.Path, scrapeEvery)
		}
	} else if ok && e.Near != "" {
		return fmt.Sprintf("%v; did you mean %q?", err, e.Near)
	}
	if hint != "" {
		return err.Error() + "; try: " + hint
	}
	return err.Error()
}

// streams are the streams of one attempt: each container's stdout and stderr is one.
type streams struct {
	m       *meter
	path    string
	attempt int
	texts   map[string]*metrics.Text
}

func (m *meter) streams(x *dag.Execution, a *dag.Attempt) *streams {
	return &streams{m: m, path: x.Path, attempt: int(a.Number), texts: map[string]*metrics.Text{}}
}

func (s *streams) line(l runner.Line) {
	if c := s.m.e.Trial.Container; c != "" && l.Container != c {
		return
	}
	name := s.path + "/" + l.Container + "/" + string(l.Stream)
	t := s.texts[name]
	if t == nil {
		t, _ = s.m.text(name) // newMeter has seen that it can be made
		s.texts[name] = t
		s.m.begin(name, s.attempt)
	}
	t.Feed(l.Text, l.Time)
	if !l.Partial {
		t.Feed([]byte("\n"), l.Time)
	}
}

func (s *streams) end() {
	for _, t := range s.texts {
		t.End()
	}
}

// outputs are the metrics among what a pipeline's run hands out: its own output
// parameters, then the numbers in the metadata of Metrics artifacts.
func (m *meter) outputs(run *dag.Run, executions []*dag.Execution) {
	if m.e.Collector.Kind != tuner.Outputs || run.State != dag.Succeeded {
		return
	}
	var list []metrics.Observation
	take := func(name string, v any) {
		f, ok := number(v)
		if ok && slices.Contains(m.e.Metrics(), name) && !slices.ContainsFunc(list, func(o metrics.Observation) bool { return o.Metric == name }) {
			list = append(list, metrics.Observation{Metric: name, Value: f, Time: run.Ended, Step: -1})
		}
	}
	for _, name := range sortedNames(run.Outputs.Parameters) { // the same each time: what comes first counts
		take(name, run.Outputs.Parameters[name])
	}
	for _, x := range executions {
		for _, name := range sortedNames(x.Outputs.Parameters) {
			take(name, x.Outputs.Parameters[name])
		}
		for _, output := range sortedNames(x.Outputs.Artifacts) {
			for _, a := range x.Outputs.Artifacts[output] {
				for _, name := range sortedNames(a.Metadata) {
					if strings.HasSuffix(a.Type, "Metrics") {
						take(name, a.Metadata[name])
					}
				}
			}
		}
	}
	for _, o := range list {
		m.collector.Push(o.Metric, o.Value, o.Time)
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// follower reads what a trial's steps write while they run. What it misses of their
// logs and files is read again in the end.
type follower struct {
	backend runner.Backend
	meter   *meter
	last    map[string]float64 // of each metric, on record
	note    func(string)

	mu      sync.Mutex
	pods    map[string]context.CancelFunc
	wait    sync.WaitGroup
	stopped bool
}

// event is the trial's driver's observer.
func (f *follower) event(e dag.Event) {
	x := e.Execution
	if e.Note != "" && !e.Detail && f.note != nil {
		f.note(e.Note)
	}
	if x == nil || x.State != dag.Running || len(x.Attempts) == 0 || !f.meter.wants(x) {
		return
	}
	a := x.Attempts[len(x.Attempts)-1]
	if a.State != dag.Running {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped || f.pods[a.Pod] != nil {
		return
	}
	if f.pods == nil {
		f.pods = map[string]context.CancelFunc{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.pods[a.Pod] = cancel
	f.wait.Go(f.reader(ctx, x, a))
}

// reader is what follows an attempt.
func (f *follower) reader(ctx context.Context, x *dag.Execution, a *dag.Attempt) func() {
	pod := a.Pod
	switch {
	case f.meter.inFiles():
		peeker, ok := f.backend.(runner.Peeker)
		if !ok {
			return func() {} // they are read in the end
		}
		files := f.meter.files(x.Path, int(a.Number))
		return func() { files.follow(ctx, peeker, pod) }
	case f.meter.e.Collector.Kind == tuner.Prometheus:
		c := f.meter.e.Collector
		f.meter.scrape(fmt.Sprintf("%s:%d%s", x.Path, c.Port, c.Path), int(a.Number))
		return func() { f.scrape(ctx, pod) }
	}
	s := f.meter.streams(x, a)
	return func() { f.follow(ctx, pod, s) }
}

// scrapeEvery is the time between two looks at a page. What a trial shows for less
// than that before it ends is lost: it should stay for a moment.
const scrapeEvery = 500 * time.Millisecond

func (f *follower) scrape(ctx context.Context, pod string) {
	c := f.meter.e.Collector
	err := metrics.Scrape(ctx, f.meter.collector, metrics.ScrapeOptions{
		Dial: func(ctx context.Context, port int) (net.Conn, error) { return f.backend.Dial(ctx, pod, port) },
		Port: c.Port, Path: c.Path, Interval: scrapeEvery, Last: f.last,
	})
	if err != nil {
		f.meter.collector.Problem("%v", err)
	}
}

func (f *follower) follow(ctx context.Context, pod string, s *streams) {
	var since time.Time
	for ctx.Err() == nil {
		failed := false
		for l, err := range f.backend.Logs(ctx, pod, runner.LogOptions{Since: since, Follow: true}) {
			if err != nil {
				failed = true
				break
			}
			since = l.Time
			s.line(l)
		}
		if !failed {
			s.end()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (f *follower) stop() {
	f.mu.Lock()
	f.stopped = true
	for _, cancel := range f.pods {
		cancel()
	}
	f.mu.Unlock()
	f.wait.Wait()
}
