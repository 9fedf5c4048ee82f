package suggest

import (
	"errors"
	"math"
	"math/rand/v2"
)

// Proposal is what an algorithm proposes for one trial. The zero Parent is trial 0:
// use None.
type Proposal struct {
	Point    Point
	Resource float64 // how much of the resource parameter to spend; 0: the algorithm has no such thing
	Bracket  int     // of Hyperband: counted from 0
	Rung     int     // of Hyperband and ASHA: how often it was promoted; of PBT: its generation
	Parent   int     // number of the trial whose checkpoint it goes on from; None
}

// None is the Parent of a trial that starts from nothing.
const None = -1

// State is what is known of a trial.
type State uint8

// A trial that is stopped early has ended as well as it will: its losses count, and
// algorithms that need to know look at State.
const (
	Running State = iota
	Succeeded
	Stopped // early
	Failed  // also: ended without the objective's metric, or with NaN
)

// Reading is an objective's loss at one step of a trial.
type Reading struct{ Step, Loss float64 }

// Trial is one trial of an experiment's history.
type Trial struct {
	Proposal
	Number    int // 0, 1, … in the order of proposals
	State     State
	Losses    []float64 // one for each objective, lower is better; empty while Running and of a Failed one. ±Inf are values, NaN never comes
	Violation float64   // of constraints on metrics; 0: it keeps all, else the sum of by how much not
	Curve     []Reading // of the first objective, in the order in which they came
}

// Query is what an algorithm decides by.
type Query struct {
	Space   *Space
	History []Trial // all trials so far, by Number; not to be changed
	Seed    uint64
	Budget  int // trials in all (maxTrialCount); 0: no limit
	Workers int // trials at once (parallelTrialCount); at least 1
}

// Algorithm proposes one trial after another.
type Algorithm interface {
	// Next proposes the trial with the number len(q.History). An error is ErrWait,
	// ErrExhausted, or says why the space or the history do not suit the algorithm.
	// It is not safe for concurrent use.
	Next(q Query) (Proposal, error)
}

// Stopper tells which running trials are not worth going on with.
type Stopper interface {
	// Stop says whether the running trial of that number should stop now, and why in
	// words for a person. It is asked after each new reading of that trial.
	Stop(history []Trial, number int) (reason string, stop bool)
}

var (
	// ErrWait: nothing can be proposed before a running trial has ended.
	ErrWait = errors.New("waits for running trials")
	// ErrExhausted: there is nothing left to propose (a grid that is done).
	ErrExhausted = errors.New("the search space is exhausted")
)

// Rand is the random generator for the next proposal: the same for the same seed
// and number of trials.
func (q *Query) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(q.Seed, uint64(len(q.History))))
}

// Loss is the trial's first loss; +Inf where it has none or violates a constraint.
func (t *Trial) Loss() float64 {
	if len(t.Losses) == 0 || t.Violation > 0 {
		return math.Inf(1)
	}
	return t.Losses[0]
}

// Ended says whether a trial has ended with losses.
func (t *Trial) Ended() bool {
	return (t.State == Succeeded || t.State == Stopped) && len(t.Losses) > 0
}
