package suggest

import (
	"cmp"
	"math"
	"slices"
)

const (
	rungChance = 1.0 / 3 // part of the new trials that no model chooses, as in BOHB
	rungDraws  = 200     // draws that a model chooses from,
	rungFew    = 4       // and while it knows nothing of more resource than the new trial gets
)

// newPoint chooses the point of a new trial on a ladder: one in three by chance, the
// others as the one of many drawn by chance that a Gaussian process expects most of.
// Hyperband's process knows the ranks of the losses of all trials, at whatever resource,
// which is one of its inputs, and is asked about the most that was spent so far: few
// trials of a bracket spend much. Rungs of ASHA fill steadily, and its process knows the
// highest that has enough trials, as in BOHB. As long as
// that is what the new trial gets as well, it chooses among few: the best by little
// resource need not be the best by much, and a rung of the former only is lost.
// at is the place of the resource parameter, which is no part of what is searched; -1:
// there is none.
func (l *ladder) newPoint(q *Query, at int, resource float64) (Point, error) {
	space := &Space{Parameters: slices.Clone(q.Space.Parameters), Feasible: q.Space.Feasible}
	if at >= 0 { // one value: nothing to search
		space.Parameters[at] = Parameter{Name: space.Parameters[at].Name, Kind: Int, Min: 1, Max: 1}
	}
	rng := q.Rand()
	axes, been := space.axes(), rungBeen(space, q.History, at)
	model := newRungModel(newCMACoding(space), q.History, l.most, l.top)
	if model == nil || rng.Float64() < rungChance {
		return space.fresh(axes, rng, been)
	}
	draws := rungDraws
	if model.resource <= resource {
		draws = rungFew
	}
	var best Point
	most := math.Inf(-1)
	for range draws {
		x, err := space.fresh(axes, rng, been)
		if err != nil {
			return nil, err
		}
		if v := model.value(x); best == nil || v > most {
			best, most = x, v
		}
	}
	return best, nil
}

// rungBeen are the points of a countable space that were tried, at any resource.
func rungBeen(s *Space, history []Trial, at int) map[string]bool {
	q := Query{Space: s}
	for i := range history {
		x := history[i].Point
		if at >= 0 {
			x = slices.Clone(x)
			x[at] = 1
		}
		q.History = append(q.History, Trial{Proposal: Proposal{Point: x}})
	}
	return q.been()
}

// rungModel is what is known of the trials of a ladder.
type rungModel struct {
	coding   *cmaCoding
	process  *cmaProcess
	resource float64 // the most that was spent
	scale    float64 // of the logarithm of a resource
}

// newRungModel is nil while there are too few trials for one. Of many it takes some with
// most resource and some of the newest; with top, those of one resource alone.
func newRungModel(c *cmaCoding, history []Trial, most float64, top bool) *rungModel {
	m := &rungModel{coding: c, scale: 1 / math.Max(1, math.Log(most))}
	var trials []*Trial
	for i := range history {
		if t := &history[i]; t.State != Running && t.Resource > 0 {
			trials = append(trials, t)
			m.resource = math.Max(m.resource, t.Resource)
		}
	}
	enough := len(c.space.Parameters) + 2
	if len(trials) < enough {
		return nil
	}
	slices.SortStableFunc(trials, func(a, b *Trial) int {
		return cmp.Or(cmp.Compare(b.Resource, a.Resource), b.Number-a.Number)
	})
	if top {
		if trials = topRung(trials, enough); trials == nil {
			return nil
		}
		m.resource = trials[0].Resource
	}
	if half := cmaMemory / 2; len(trials) > cmaMemory {
		rest := trials[half:]
		slices.SortFunc(rest, func(a, b *Trial) int { return b.Number - a.Number })
		trials = trials[:cmaMemory]
	}
	var xs []cmaFeature
	for _, t := range trials {
		xs = append(xs, m.feature(t.Point, t.Resource))
	}
	var running []cmaFeature
	for i := range history {
		if history[i].State == Running {
			running = append(running, m.feature(history[i].Point, m.resource))
		}
	}
	y := cmaScores(trials)
	m.process = cmaFit(xs, y, cmaFitScale(xs, y), running)
	return m
}

// topRung are those of some trials, by falling resource, that spent one resource: the
// most that enough of them did. It is nil where there is none.
func topRung(trials []*Trial, enough int) []*Trial {
	for from := 0; from < len(trials); {
		to := from + 1
		for to < len(trials) && trials[to].Resource == trials[from].Resource {
			to++
		}
		if to-from >= enough {
			return trials[from:to]
		}
		from = to
	}
	return nil
}

func (m *rungModel) feature(x Point, resource float64) cmaFeature {
	p := m.coding.code(x)
	for i, v := range p.box {
		if math.IsNaN(v) {
			p.box[i] = 0.5
		}
	}
	return cmaFeature{append(p.box, m.scale*math.Log(math.Max(resource, 1))), p.classes}
}

// value is the logarithm of the expected improvement at a point.
func (m *rungModel) value(x Point) float64 {
	f := m.feature(x, m.resource)
	mean, v := m.process.predict(&f)
	return cmaLogEI((m.process.lowest-mean)/math.Sqrt(v)) + 0.5*math.Log(v)
}
