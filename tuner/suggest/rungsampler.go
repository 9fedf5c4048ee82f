package suggest

import (
	"cmp"
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
	rungFew    = 4
)

// next is a point for a new trial. at is the place of the resource parameter, which is
// no part of what is searched; -1: there is none.
func (rungSampler) next(q *Query, at int, resource float64) (Point, error) {
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
	draws := rungDraws
	if model.resource <= resource {
		draws = rungFew
	}
	for range draws {
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
	coding   *cmaCoding
	process  *cmaProcess
	resource float64
}

func newRungModel(c *cmaCoding, history []Trial) *rungModel {
	var trials []*Trial
	m := &rungModel{coding: c}
	for i := range history {
		if t := &history[i]; t.State != Running {
			trials = append(trials, t)
			m.resource = math.Max(m.resource, t.Resource)
		}
	}
	slices.SortStableFunc(trials, func(a, b *Trial) int {
		if d := cmp.Compare(b.Resource, a.Resource); d != 0 {
			return d
		}
		return b.Number - a.Number
	})
	if len(trials) < len(c.space.Parameters)+2 {
		return nil
	}
	trials = trials[:min(len(trials), cmaMemory)]
	var xs []cmaFeature
	for _, t := range trials {
		xs = append(xs, m.feature(t.Point, t.Resource))
	}
	m.process = cmaFit(xs, cmaScores(trials), cmaFitScale(xs, cmaScores(trials)))
	return m
}

func (m *rungModel) feature(x Point, resource float64) cmaFeature {
	p := m.coding.code(x)
	for i, v := range p.box {
		if math.IsNaN(v) {
			p.box[i] = 0.5
		}
	}
	return cmaFeature{append(p.box, math.Log(math.Max(resource, 1))/4.39), p.classes}
}

// value is the logarithm of the expected improvement at a point.
func (m *rungModel) value(x Point) float64 {
	f := m.feature(x, m.resource)
	mean, v := m.process.predict(&f)
	return cmaLogEI((m.process.lowest-mean)/math.Sqrt(v)) + 0.5*math.Log(v)
}

// draw is a point by chance.
func (m *rungModel) draw(s *Space, axes []axis, been map[string]bool, rng *rand.Rand) (Point, error) {
	return s.fresh(axes, rng, been)
}
