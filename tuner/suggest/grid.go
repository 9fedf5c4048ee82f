package suggest

import (
	"fmt"
	"maps"
	"math"
)

// grid goes through all combinations of the parameters' values, the last parameter
// fastest, each list in its order and each number upwards by its step (an int without
// one by 1). A double needs a step. Combinations that the space does not allow are left
// out, and those that differ only in a parameter that is not there; so are points that
// earlier trials had, whoever proposed them. At the end it is ErrExhausted.
type grid struct {
	// Where the last proposal stands and what has been by then, so that the next one
	// need not look from the start: good for no other history.
	space *Space
	at    []int
	seen  map[string]bool
}

func newGrid(*settings) Algorithm { return &grid{} }

func (g *grid) Next(q Query) (Proposal, error) {
	axes := q.Space.axes()
	for i := range axes {
		if axes[i].values == 0 {
			return Proposal{}, fmt.Errorf("parameter %s: a grid needs a step for a double (try: step: %q, which makes 10 values)",
				axes[i].Name, fmt.Sprintf("%.3g", (axes[i].Max-axes[i].Min)/9))
		}
	}
	if been := q.been(); g.space != q.Space || !maps.Equal(been, g.seen) {
		g.space, g.at, g.seen = q.Space, nil, been
	}
	for g.advance(axes) {
		x, whole := g.point(q.Space, axes)
		if key := x.key(); whole && !g.seen[key] && q.Space.May(x) {
			g.seen[key] = true
			return Proposal{Point: x, Parent: None}, nil
		}
	}
	g.space = nil
	return Proposal{}, ErrExhausted
}

// advance goes to the next combination; false: there is none.
func (g *grid) advance(axes []axis) bool {
	if g.at == nil {
		g.at = make([]int, len(axes))
		return true
	}
	for i := len(axes) - 1; i >= 0; i-- {
		if g.at[i]++; g.at[i] < axes[i].values {
			return true
		}
		g.at[i] = 0
	}
	return false
}

// point is the combination's point. It is not whole where another combination, with
// the first value of a parameter that is not there, is the same point.
func (g *grid) point(s *Space, axes []axis) (x Point, whole bool) {
	x, whole = make(Point, len(axes)), true
	for i, k := range g.at {
		x[i] = math.NaN()
		if !s.Active(x, i) {
			whole = whole && k == 0
			continue
		}
		x[i] = float64(k)
		if axes[i].Kind == Double || axes[i].Kind == Int {
			x[i] = axes[i].Round(axes[i].Min + float64(k)*axes[i].step())
		}
	}
	return x, whole
}
