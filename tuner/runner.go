package tuner

import (
	"context"
	"errors"
)

// Runner runs trials.
type Runner interface {
	// Run brings a trial's run to its end, from wherever it stands: there may be none
	// yet of its id, or one that an earlier process has begun. parent is the trial whose
	// checkpoint it goes on from, or nil. observe is called with what the trial measures,
	// as it comes; the same may come again, and all of it has come when Run returns.
	// When ctx is canceled the run is canceled, unless the cause is ErrLeave. An error
	// says that the run could not be brought to its end, and can go on.
	Run(ctx context.Context, e *Experiment, t, parent *Trial, observe func(Observed)) (Outcome, error)
	// NewRun is the id for a new run.
	NewRun() string
}

// Outcome is how a trial's run ended.
type Outcome struct {
	Succeeded bool
	Error     string   // of a run that failed
	Tail      []string // the last lines of its log then
	Missing   string   // what to say where the objective's metric never came
}

// ErrLeave, as the cause of a canceled context, makes Drive and Run leave the trials
// running for a later Drive.
var ErrLeave = errors.New("the experiment goes on and can be resumed")

// errStopped is the cause with which a trial's context is canceled when it is stopped
// early or is of no use any more.
var errStopped = errors.New("stopped")
