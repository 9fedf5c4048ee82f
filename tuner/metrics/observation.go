package metrics

import "time"

// Observation is one value of one metric of one trial.
type Observation struct {
	Metric string    // as the experiment names it
	Value  float64   // may be NaN or infinite
	Time   time.Time // what the source says, else when it came
	Step   int64     // what the source says (TensorFlow events); -1 where it says nothing
	N      int64     // this metric's N-th observation in this trial, from 1: the step where Step is -1

	// Source names the stream that it came from: empty for a log, a path for a
	// file of a folder. Pos is how many bytes of the source had been read when
	// the line or record that holds it was complete; 0 where a source can't be
	// read twice (Push, Scrape). Together they tell, after a crash, what is on
	// record: see Collector.Resume.
	Source string
	Pos    int64
}

// Sink takes the observations of one line or record, in order. They share Source
// and Pos, and are to be stored together or not at all, or a crash could lose
// half a line. The slice is valid only during the call. Calls never overlap, and
// must not call the Collector.
type Sink func([]Observation)

// Parser turns a stream into observations. How the stream is cut into chunks
// makes no difference. Nothing that a trial writes is an error: what can't be
// read is left out and remembered (Collector.Problems).
type Parser interface {
	// Feed takes the next bytes, which came at the time at.
	Feed(p []byte, at time.Time)
	// End says that the stream has ended: what is left without a newline is a line.
	End()
	// Reset forgets what is left: the stream begins anew elsewhere.
	Reset()
}
