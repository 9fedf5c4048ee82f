package suggest

import "math"

// hyperband is the algorithm of Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar,
// "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", 2018.
//
// Settings: r_l, the most resource that a trial may spend; resource_name, the parameter
// that is set to what it may; eta (3), by how much the resource grows and the number of
// trials shrinks from rung to rung.
//
// With s_max = floor(log_eta r_l), the brackets s = s_max … 0 follow each other, and
// then again from the first, until the experiment's limit of trials. Bracket s starts
// ceil((s_max+1)/(s+1) eta^s) trials with the resource r_l eta^-s; of a rung of n, all
// ended, the best n/eta go on, each from its own checkpoint (Parent), to the rung above.
// While a rung waits for its last trials, the next bracket is begun: no worker idles,
// and any parallelTrialCount will do (Katib demands eta^s_max).
// Nothing but the history is needed to go on in the middle of a bracket: each trial
// says its bracket, rung and parent.
//
// The points of new trials are chosen by a model of the trials so far, as in BOHB
// (Falkner, Klein & Hutter 2018): see newPoint.
type hyperband struct{ ladder }

func newHyperband(s *settings) Algorithm {
	h := &hyperband{}
	h.name = s.text("resource_name", "")
	h.most = s.float("r_l", 0, 1, 1e12)
	h.eta = s.float("eta", 3, 1.1, 1e6)
	h.least = 1
	h.seed = s.randomState()
	if h.name == "" {
		s.fail("resource_name", h.name, "given: the name of the parameter that says how much a trial spends")
	}
	if h.most == 0 {
		s.fail("r_l", "", "given: the most resource that a trial spends")
	}
	return h
}

// bracketRungs are a bracket's trials by rung.
type bracketRungs [][]*Trial

func (h *hyperband) Next(q Query) (Proposal, error) {
	q.Seed = h.seed.of(&q)
	most := h.rungs()
	gone := parents(q.History)
	var brackets []bracketRungs
	for i := range q.History {
		t := &q.History[i]
		if t.Resource == 0 || t.Bracket < 0 || t.Rung > most { // not one of ours
			continue
		}
		for len(brackets) <= t.Bracket {
			brackets = append(brackets, make(bracketRungs, most+1))
		}
		brackets[t.Bracket][t.Rung] = append(brackets[t.Bracket][t.Rung], t)
	}
	for b := 0; ; b++ {
		s := most - b%(most+1)
		if b >= len(brackets) {
			return h.begin(&q, b, s)
		}
		if len(brackets[b][0]) < h.first(s) {
			return h.begin(&q, b, s)
		}
		if t, rung := h.next(brackets[b], s, gone); t != nil {
			return h.promote(&q, t, h.resource(s-rung))
		}
	}
}

// begin proposes one more trial of a bracket's lowest rung.
func (h *hyperband) begin(q *Query, bracket, s int) (Proposal, error) {
	p, err := h.fresh(q, h.resource(s))
	p.Bracket = bracket
	return p, err
}

// first is how many trials a bracket starts.
func (h *hyperband) first(s int) int {
	return int(math.Ceil(float64(h.rungs()+1)/float64(s+1)*math.Pow(h.eta, float64(s)) - 1e-9))
}

// next is a trial of a bracket that is to be promoted now, and to which rung.
func (h *hyperband) next(rungs bracketRungs, s int, gone map[int]bool) (*Trial, int) {
	n := h.first(s)
	for rung := 1; rung <= s; rung++ {
		for _, t := range rungs[rung-1] {
			if t.State == Running {
				return nil, 0
			}
		}
		n = max(1, int(float64(n)/h.eta+1e-9))
		for i, t := range promotable(rungs[rung-1]) {
			if i >= n {
				break
			}
			if !gone[t.Number] {
				return t, rung
			}
		}
	}
	return nil, 0
}
