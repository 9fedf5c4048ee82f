package tuner

import (
	"context"
	"errors"

	"github.com/wherry-ml/wherry/tuner/metrics"
)

// Store keeps experiments. Each call is one transaction.
type Store interface {
	// CreateExperiment stores a new experiment. Names may come again: the newest counts.
	CreateExperiment(ctx context.Context, e *Experiment) error

	// LoadExperiment returns an experiment with its trials by number, and what was
	// observed of those that have not ended; of the others too, where curves are asked
	// for, but only the leading objective.
	LoadExperiment(ctx context.Context, id string, curves bool) (*Experiment, []*Trial, []Observed, error)

	// CommitTrials writes all of it or nothing. Durable ones have reached the disk.
	CommitTrials(ctx context.Context, b Batch) error
}

// Batch is one transaction of an experiment.
type Batch struct {
	Experiment *Experiment // its State, Reason, Message and times are written
	Spec       bool        // and all the rest of it: it goes on with another MaxTrials
	Trials     []*Trial    // new or changed
	Observed   []Observed
	Durable    bool
	// Exclusive refuses the batch with ErrConflict when another one was committed
	// since Experiment was loaded.
	Exclusive bool
}

// ErrConflict says that somebody else has changed an experiment meanwhile.
var ErrConflict = errors.New("the experiment was changed by somebody else meanwhile")

// Observed are observations of a trial from one place that they come from, such as
// the log of a task. The same may be handed over again: what is known by its number
// is passed over.
type Observed struct {
	Trial   int
	Stream  string // name of the place
	Attempt int    // of what writes there: a later one takes the place of all that an earlier one wrote
	First   int64  // number of the first of List, counted from 0; -1: the next, of what can't come twice
	List    []metrics.Observation
}
