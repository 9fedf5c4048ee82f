package metrics

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Strategy says which of a metric's values stands for a trial.
type Strategy string

// The strategies of Katib.
const (
	Min    Strategy = "min"
	Max    Strategy = "max"
	Latest Strategy = "latest"
)

// DefaultStrategy is the strategy of a metric for which an experiment gives
// none, by the objective's type, and for additional metrics just as for the
// objective: so does Katib (pkg/apis/controller/experiments/v1beta1/
// experiment_defaults.go, setDefaultObjective), though its comment says latest.
func DefaultStrategy(objectiveType string) Strategy {
	switch objectiveType {
	case "minimize":
		return Min
	case "maximize":
		return Max
	}
	return Latest
}

// Metric is what is kept of all values of one metric of one trial.
type Metric struct {
	Name   string
	Latest float64 // the one with the latest time; of several, the one that came last
	Min    float64 // of all values that are numbers; NaN if none is
	Max    float64
	Count  int64
	NaNs   int64 // values among them that are not a number
}

// Pick returns the value that strategy asks for. A metric that was a number at
// least once has a number as Min and Max; Latest is NaN if the last value is.
// The infinities are numbers: a loss of -Inf is the minimum.
func (m Metric) Pick(s Strategy) (float64, error) {
	switch s {
	case Min:
		return m.Min, nil
	case Max:
		return m.Max, nil
	case Latest:
		return m.Latest, nil
	}
	return 0, fmt.Errorf("metric strategy %q of metric %q is not one of min, max, latest", s, m.Name)
}

// Format writes a value as Katib's status has it, as text: the shortest that
// reads back as the same number.
func Format(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Summary keeps minimum, maximum and latest value of each metric: the
// Observation of a Katib trial (pkg/controller.v1beta1/trial/
// trial_controller_util.go, getMetrics). Unlike there, a NaN does not stay the
// minimum for ever once it is the first value. The zero Summary is ready for use;
// it is not safe for concurrent use.
type Summary struct {
	metrics map[string]*tally
}

type tally struct {
	Metric
	at time.Time // of Latest
}

// Add takes one observation into account.
func (s *Summary) Add(o Observation) {
	t := s.metrics[o.Metric]
	if t == nil {
		if s.metrics == nil {
			s.metrics = map[string]*tally{}
		}
		t = &tally{Metric: Metric{Name: o.Metric, Min: math.NaN(), Max: math.NaN()}}
		s.metrics[o.Metric] = t
	}
	t.Count++
	if t.Count == 1 || !o.Time.Before(t.at) {
		t.Latest, t.at = o.Value, o.Time
	}
	if math.IsNaN(o.Value) {
		t.NaNs++
		return
	}
	if math.IsNaN(t.Min) || o.Value < t.Min {
		t.Min = o.Value
	}
	if math.IsNaN(t.Max) || o.Value > t.Max {
		t.Max = o.Value
	}
}

// Metric returns what is known of one metric; false if it never came.
func (s *Summary) Metric(name string) (Metric, bool) {
	if t := s.metrics[name]; t != nil {
		return t.Metric, true
	}
	return Metric{}, false
}

// Metrics lists those of names that came, in this order: the objective first,
// where it is named first.
func (s *Summary) Metrics(names []string) []Metric {
	var list []Metric
	for _, name := range names {
		if m, ok := s.Metric(name); ok {
			list = append(list, m)
		}
	}
	return list
}
