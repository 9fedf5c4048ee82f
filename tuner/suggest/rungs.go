package suggest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ladder is what hyperband and ASHA have in common: the resource that a trial spends
// grows by eta from rung to rung, and only the best of a rung go on to the next.
type ladder struct {
	name  string  // of the resource parameter; empty: the space has none
	least float64 // resource of the lowest rung
	most  float64 // and of the highest
	eta   float64
	seed  fixedSeed
	top   bool // new points are chosen by the highest rung alone
}

// rungs is how often a trial that starts with the resource least can be promoted.
func (l *ladder) rungs() int {
	return int(math.Floor(math.Log(l.most/l.least)/math.Log(l.eta) + 1e-9))
}

// resource is what a trial spends that can still be promoted so many times.
func (l *ladder) resource(before int) float64 { return l.most * math.Pow(l.eta, -float64(before)) }

// place is where the resource parameter stands in a space; -1: the ladder names none.
func (l *ladder) place(s *Space) (int, error) {
	if l.name == "" {
		return -1, nil
	}
	i := slices.IndexFunc(s.Parameters, func(p Parameter) bool { return p.Name == l.name })
	if i < 0 {
		return 0, &SettingError{Name: "resource_name", Reason: fmt.Sprintf("is to be one of the experiment's parameters, not %q", l.name)}
	}
	if k := s.Parameters[i].Kind; k != Double && k != Int {
		return 0, &SettingError{Name: "resource_name", Reason: fmt.Sprintf("is to be an int or double parameter: %q has a list of values", l.name)}
	}
	return i, nil
}

// spend is the proposal of a point with a resource. The resource parameter is set to it
// whatever its feasible space says, as in Katib, whose own example has bounds of 1 and
// 1; that of an int is a whole number of at least 1.
func (l *ladder) spend(s *Space, x Point, resource float64) (Proposal, error) {
	at, err := l.place(s)
	if err != nil {
		return Proposal{}, err
	}
	x = slices.Clone(x)
	if at < 0 || s.Parameters[at].Kind == Int {
		resource = math.Max(1, math.Floor(resource+1e-9))
	}
	if at >= 0 {
		x[at] = resource
	}
	return Proposal{Point: x, Resource: resource, Parent: None}, nil
}

// fresh proposes a trial that starts from nothing.
func (l *ladder) fresh(q *Query, resource float64) (Proposal, error) {
	at, err := l.place(q.Space)
	if err != nil {
		return Proposal{}, err
	}
	x, err := l.newPoint(q, at, resource)
	if err != nil {
		return Proposal{}, err
	}
	return l.spend(q.Space, x, resource)
}

// promote proposes that a trial goes on from its checkpoint.
func (l *ladder) promote(q *Query, t *Trial, resource float64) (Proposal, error) {
	p, err := l.spend(q.Space, t.Point, resource)
	p.Bracket, p.Rung, p.Parent = t.Bracket, t.Rung+1, t.Number
	return p, err
}

// promotable are the trials that may go on, the best first: those that succeeded.
// One that was stopped early has been judged already.
func promotable(trials []*Trial) []*Trial {
	var out []*Trial
	for _, t := range trials {
		if t.State == Succeeded && len(t.Losses) > 0 && t.Violation == 0 {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *Trial) int { return cmp.Compare(a.Loss(), b.Loss()) })
	return out
}

// parents are the trials that others went on from, failed ones too: what failed with
// more resource would again.
func parents(history []Trial) map[int]bool {
	out := map[int]bool{}
	for i := range history {
		if p := history[i].Parent; p != None {
			out[p] = true
		}
	}
	return out
}
