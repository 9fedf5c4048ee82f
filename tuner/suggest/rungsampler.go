package suggest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// rungSampler chooses the points of new trials on a ladder: one in three by chance, the
// others as the best of many by a Gaussian process.
type rungSampler struct{}

const (
	rungChance = 1.0 / 3 // part of the new trials that no model chooses, as in BOHB
	rungDraws  = 200
)

// next is a point for a new trial. at is the place of the resource parameter, which is
// no part of what is searched; -1: there is none.
func (rungSampler) next(q *Query, at int) (Point, error) {
	space := &Space{Parameters: slices.Clone(q.Space.Parameters), Feasible: q.Space.Feasible}
	if at >= 0 { // one value: nothing to search
		space.Parameters[at] = Parameter{Name: space.Parameters[at].Name, Kind: Int, Min: 1, Max: 1}
	}
	rng := q.Rand()
	axes, been := space.axes(), rungBeen(space, q.History, at)
	model := newRungModel(newCMACoding(space), q.History)
	if model == nil || rng.Float64() < rungChance {
		return space.fresh(axes, rng, been)
	}
	var best Point
	most := math.Inf(-1)
	for range rungDraws {
		x, err := model.draw(space, axes, been, rng)
		if err != nil {
			return nil, err
		}
		if v := model.value(x); v > most {
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

// rungModel is a Gaussian process on the trials of one resource: the most for which
// there are enough.
type rungModel struct {
	coding  *cmaCoding
	process *cmaProcess
	good    []Point
}

func newRungModel(c *cmaCoding, history []Trial) *rungModel {
	by := map[float64][]*Trial{}
	var levels []float64
	for i := range history {
		if t := &history[i]; t.State != Running {
			if by[t.Resource] == nil {
				levels = append(levels, t.Resource)
			}
			by[t.Resource] = append(by[t.Resource], t)
		}
	}
	slices.Sort(levels)
	slices.Reverse(levels)
	for _, l := range levels {
		trials := by[l]
		if len(trials) < len(c.space.Parameters)+2 {
			continue
		}
		trials = trials[max(0, len(trials)-cmaScreenMemory):]
		m := &rungModel{coding: c}
		var xs []cmaFeature
		for _, t := range trials {
			xs = append(xs, m.feature(t.Point))
		}
		m.process = cmaFit(xs, cmaScores(trials))
		best := slices.Clone(trials)
		slices.SortStableFunc(best, cmaCompare)
		for _, t := range best[:max(1, len(best)/5)] {
			m.good = append(m.good, t.Point)
		}
		return m
	}
	return nil
}

func (m *rungModel) feature(x Point) cmaFeature {
	p := m.coding.code(x)
	for i, v := range p.box {
		if math.IsNaN(v) {
			p.box[i] = 0.5
		}
	}
	return cmaFeature{p.box, p.classes}
}

// value is the logarithm of the expected improvement at a point.
func (m *rungModel) value(x Point) float64 {
	f := m.feature(x)
	mean, v := m.process.predict(&f)
	return cmaLogEI((m.process.lowest-mean)/math.Sqrt(v)) + 0.5*math.Log(v)
}

// draw is a point by chance.
func (m *rungModel) draw(s *Space, axes []axis, been map[string]bool, rng *rand.Rand) (Point, error) {
	return s.fresh(axes, rng, been)
}
