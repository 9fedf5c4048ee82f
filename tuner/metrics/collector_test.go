package metrics

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatNeverCame(t *testing.T) {
	tests := []struct {
		metric, input, want, hint string
	}{
		{"accuracy", "acc=0.5 loss=0.1\nacc=0.6\n", `metric "accuracy" never came; seen instead: acc, loss`, "objectiveMetricName: acc"},
		{"val_acc", "Validation-accuracy=0.5 loss=0.1\n", `metric "val_acc" never came; seen instead: Validation-accuracy, loss`, "objectiveMetricName: Validation-accuracy"},
		{"accuracy", "acuracy=1\n", `metric "accuracy" never came; seen instead: acuracy`, "objectiveMetricName: acuracy"},
		{"accuracy", "loss=1\n", `metric "accuracy" never came; seen instead: loss`, ""},
		{"accuracy", "hello\n", `metric "accuracy" never came; nothing that looks like a metric was seen`, "print a line accuracy=VALUE in the trial, as it goes on"},
		{"accuracy", "accuracy: 0.5\n", `metric "accuracy" never came as accuracy=value, only as "accuracy: value"`,
			`metricsCollectorSpec: {source: {filter: {metricsFormat: ['([\w|-]+)\s*:\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)']}}}`},
		{"accuracy", "accuracy=high\n", `metric "accuracy" never came; nothing that looks like a metric was seen (accuracy has a value that is not a number: "")`, "print a line accuracy=VALUE in the trial, as it goes on"},
		{"a", "x1=1 x2=1 x3=1 x4=1 x5=1 x6=1 x7=1 x8=1 x9=1 y1=1 y2=1\n", `metric "a" never came; seen instead: x1, x2, x3, x4, x5, x6, x7, x8, x9, y1 and more`, ""},
	}
	for _, tt := range tests {
		g := collect(tt.metric, "other")
		feedAll(newText(t, g.Collector, TextOptions{}), []byte(tt.input))
		var e *UnavailableError
		if err := g.Err(); !errors.As(err, &e) || e.Error() != tt.want || e.Hint() != tt.hint {
			t.Errorf("%q: got\n%v\n%s\nwant\n%s\n%s", tt.input, err, e.Hint(), tt.want, tt.hint)
		}
	}
}

func TestAnAdditionalMetricMayBeMissing(t *testing.T) {
	g := collect("loss", "accuracy")
	feedAll(newText(t, g.Collector, TextOptions{}), []byte("loss=1 acc=0.5\n"))
	if err := g.Err(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"accuracy"}, g.Missing()); diff != "" {
		t.Error(diff)
	}
	if got, want := g.Unavailable("accuracy").Hint(), "additionalMetricNames: [acc]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatElseIsSeenIsBounded(t *testing.T) {
	g := collect("loss")
	p := newText(t, g.Collector, TextOptions{})
	for i := range 100_000 {
		fmt.Fprintf((*feeder)(p), "metric%d=1 %s=2\n", i, strings.Repeat("n", 1000))
	}
	if e := g.Unavailable("loss"); len(e.Seen) != maxSeen || !e.More {
		t.Errorf("%d names are kept, more: %v", len(e.Seen), e.More)
	}
	for range 1000 {
		fmt.Fprint((*feeder)(p), "loss=bad\n", "loss=worse\n")
	}
	if n := len(g.Problems()); n > maxProblems+1 {
		t.Errorf("%d problems", n)
	}
}

// feeder is a Text as an io.Writer.
type feeder Text

func (f *feeder) Write(p []byte) (int, error) { (*Text)(f).Feed(p, noon); return len(p), nil }

// After a crash at any moment the stream is read again: nothing is missing,
// nothing comes twice, and counts go on.
func TestResume(t *testing.T) {
	input := []byte("loss=1 accuracy=0.1\nloss=2\n\nnoise\nloss: 9\naccuracy=0.3 loss=4\nloss=5")
	whole := collect("loss", "accuracy")
	feedAll(newText(t, whole.Collector, TextOptions{Colon: true, Source: "log"}), input)
	if len(whole.all) != 6 {
		t.Fatalf("%d observations", len(whole.all))
	}
	for died := range len(input) {
		g := collect("loss", "accuracy")
		newText(t, g.Collector, TextOptions{Colon: true, Source: "log"}).Feed(input[:died], noon)
		known, counts := map[string]int64{}, map[string]int64{}
		for _, o := range g.all {
			known[o.Source] = max(known[o.Source], o.Pos)
			counts[o.Metric]++
		}
		again := &gather{all: g.all}
		again.Collector = NewCollector([]string{"loss", "accuracy"}, func(b []Observation) { again.all = append(again.all, b...) })
		again.Resume(known, counts)
		feedAll(newText(t, again.Collector, TextOptions{Colon: true, Source: "log"}), input)
		if diff := cmp.Diff(whole.full(), again.full()); diff != "" {
			t.Fatalf("died after %d bytes: %s", died, diff)
		}
	}
}

// With several files, what is new in one is read before what is on record of another.
func TestResumeWithSeveralSources(t *testing.T) {
	g := collect("loss")
	g.Resume(map[string]int64{"a": 7, "b": 7}, map[string]int64{"loss": 2})
	for _, source := range []string{"a", "b"} {
		feedAll(newText(t, g.Collector, TextOptions{Source: source}), []byte("loss=1\nloss=2\n"))
	}
	want := []Observation{{Metric: "loss", Value: 2, Time: noon, Step: -1, N: 3, Source: "a", Pos: 14},
		{Metric: "loss", Value: 2, Time: noon, Step: -1, N: 4, Source: "b", Pos: 14}}
	if diff := cmp.Diff(want, g.all); diff != "" {
		t.Error(diff)
	}
}

func TestGoOnInTheMiddle(t *testing.T) {
	g := collect("loss")
	g.Resume(nil, map[string]int64{"loss": 7, "unknown": 1})
	feedAll(newText(t, g.Collector, TextOptions{Source: "log", Start: 100}), []byte("loss=1\n"))
	want := Observation{Metric: "loss", Value: 1, Time: noon, Step: -1, N: 8, Source: "log", Pos: 107}
	if diff := cmp.Diff([]Observation{want}, g.all); diff != "" {
		t.Error(diff)
	}
}

func TestPush(t *testing.T) {
	g := collect("loss")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				g.Push("loss", 1, noon)
			}
		})
	}
	all.Wait()
	if g.Push("los", 2, noon) {
		t.Error("a metric that the experiment doesn't name was taken")
	}
	if !g.Push("loss", math.Inf(1), time.Time{}) || time.Since(g.all[800].Time) > time.Minute {
		t.Errorf("a push without a time: %+v", g.all[800])
	}
	for i, o := range g.all {
		if o.N != int64(i+1) {
			t.Fatalf("observation %d has number %d", i+1, o.N)
		}
	}
	if got := g.Unavailable("x").Seen; !cmp.Equal(got, []string{"los"}) {
		t.Errorf("seen %v", got)
	}
}

func TestSummary(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		name   string
		values []float64
		times  []int
		want   Metric
	}{
		{"plain", []float64{2, 1, 3}, []int{0, 1, 2}, Metric{Latest: 3, Min: 1, Max: 3, Count: 3}},
		{"the latest is by time", []float64{2, 1, 3}, []int{0, 5, 2}, Metric{Latest: 1, Min: 1, Max: 3, Count: 3}},
		{"of two at a time the last", []float64{2, 1, 3}, []int{5, 5, 5}, Metric{Latest: 3, Min: 1, Max: 3, Count: 3}},
		{"not a number at first", []float64{nan, 1, 3}, []int{0, 1, 2}, Metric{Latest: 3, Min: 1, Max: 3, Count: 3, NaNs: 1}},
		{"not a number at last", []float64{1, 3, nan}, []int{0, 1, 2}, Metric{Latest: nan, Min: 1, Max: 3, Count: 3, NaNs: 1}},
		{"never a number", []float64{nan}, []int{0}, Metric{Latest: nan, Min: nan, Max: nan, Count: 1, NaNs: 1}},
		{"infinite", []float64{1, -inf, inf}, []int{0, 1, 2}, Metric{Latest: inf, Min: -inf, Max: inf, Count: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Summary
			for i, v := range tt.values {
				s.Add(Observation{Metric: "loss", Value: v, Time: at(tt.times[i])})
			}
			got, _ := s.Metric("loss")
			tt.want.Name = "loss"
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestStrategies(t *testing.T) {
	m := Metric{Name: "loss", Latest: 2, Min: 1, Max: 3}
	for s, want := range map[Strategy]float64{DefaultStrategy("minimize"): 1, DefaultStrategy("maximize"): 3, DefaultStrategy(""): 2} {
		if got, err := m.Pick(s); got != want || err != nil {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	if _, err := m.Pick("mean"); err == nil || err.Error() != `metric strategy "mean" of metric "loss" is not one of min, max, latest` {
		t.Error(err)
	}
	var s Summary
	s.Add(Observation{Metric: "b", Value: 1})
	s.Add(Observation{Metric: "a", Value: 1})
	if list := s.Metrics([]string{"a", "c", "b"}); len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" {
		t.Errorf("%v", list)
	}
	for v, want := range map[float64]string{0.91: "0.91", 1e-7: "1e-07", math.Inf(-1): "-Inf", 3: "3"} {
		if got := Format(v); got != want {
			t.Errorf("Format(%v) = %s", v, got)
		}
	}
}
