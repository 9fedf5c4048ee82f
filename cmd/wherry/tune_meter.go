package main

import (
	"context"
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
	counts  map[string]int64
	attempt map[string]int
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
	m.counts[stream] += int64(len(batch))
	m.observe(o)
}

func (m *meter) text(stream string) (*metrics.Text, error) {
	c := m.e.Collector
	return metrics.NewText(m.collector, metrics.TextOptions{Filters: c.Filters, Colon: c.Kind == tuner.Outputs, Source: stream})
}

// wants reports whether the log of a task may hold metrics.
func (m *meter) wants(x *dag.Execution) bool {
	switch m.e.Collector.Kind {
	case tuner.StdOut, tuner.Outputs, tuner.Custom:
		return m.e.Trial.Primary == "" || m.e.Trial.Primary == x.Path
	}
	return false
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
		s.m.mu.Lock()
		s.m.attempt[name], s.m.counts[name] = s.attempt, 0
		s.m.mu.Unlock()
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
	for name, v := range run.Outputs.Parameters {
		take(name, v)
	}
	for _, x := range executions {
		for _, name := range sortedNames(x.Outputs.Parameters) {
			take(name, x.Outputs.Parameters[name])
		}
		for _, artifacts := range x.Outputs.Artifacts {
			for _, a := range artifacts {
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

// follower reads the logs of a trial's steps while they run. What it misses is read
// again in the end.
type follower struct {
	backend runner.Backend
	meter   *meter
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
	if x == nil || x.State != dag.Running || len(x.Attempts) == 0 || !x.Kind.Runs() || !f.meter.wants(x) {
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
	s := f.meter.streams(x, a)
	pod := a.Pod
	f.wait.Go(func() { f.follow(ctx, pod, s) })
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
