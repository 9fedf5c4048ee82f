// Package metrics reads what trials measure.
package metrics

import "time"

// Observation is one value of one metric of one trial.
type Observation struct {
	Metric string
	Value  float64 // may be NaN or infinite
	Time   time.Time
	Step   int64 // as the source says; -1: it says none, then the metric's count serves
}
