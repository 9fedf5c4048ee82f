package suggest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// tree is a regression tree on the vectors of an embedding (Breiman and others 1984).
// Numbers are split at a cut, categories into two sets.
type tree struct{ nodes []treeNode }

type treeNode struct {
	axis         int // -1: a leaf
	cut          float64
	left         []bool  // categories, counted from -1, that go left; nil: numbers up to cut do
	low, high    int     // children
	mean, spread float64 // of the values in a leaf: mean and variance
	rows         []int   // of a leaf
}

// treeRule says how a tree is grown.
type treeRule struct {
	cat    []bool
	card   []int // of the axes
	leaf   int   // fewest rows of a leaf
	depth  int   // at most; 0: no limit
	random bool  // cuts are drawn, one for each axis (extremely randomized trees)
}

// growTree grows a tree on the rows at of x and y.
func growTree(r *treeRule, x [][]float64, y []float64, at []int, rng *rand.Rand) *tree {
	t := &tree{}
	t.grow(r, x, y, at, 1, rng)
	return t
}

func (t *tree) grow(r *treeRule, x [][]float64, y []float64, at []int, depth int, rng *rand.Rand) int {
	me := len(t.nodes)
	t.nodes = append(t.nodes, treeNode{axis: -1, rows: at})
	n := &t.nodes[me]
	for _, i := range at {
		n.mean += y[i] / float64(len(at))
	}
	for _, i := range at {
		n.spread += (y[i] - n.mean) * (y[i] - n.mean) / float64(len(at))
	}
	if len(at) < 2*r.leaf || n.spread < 1e-14 || r.depth > 0 && depth > r.depth {
		return me
	}
	var best split
	for j := range r.cat {
		s := split{axis: j}
		switch {
		case r.random:
			s.draw(r, x, y, at, rng)
		default:
			s.find(r, x, y, at)
		}
		if s.gain > best.gain {
			best = s
		}
	}
	if best.gain <= 0 {
		return me
	}
	n.axis, n.cut, n.left, n.rows = best.axis, best.cut, best.left, nil
	low, high := partition(n, x, at)
	a := t.grow(r, x, y, low, depth+1, rng)
	b := t.grow(r, x, y, high, depth+1, rng)
	t.nodes[me].low, t.nodes[me].high = a, b
	return me
}

func (n *treeNode) goesLow(z []float64) bool {
	if n.left != nil {
		return n.left[int(z[n.axis])+1]
	}
	return z[n.axis] <= n.cut
}

func partition(n *treeNode, x [][]float64, at []int) (low, high []int) {
	for _, i := range at {
		if n.goesLow(x[i]) {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	return low, high
}

// leaf is the leaf that a vector falls into.
func (t *tree) leaf(z []float64) *treeNode {
	n := &t.nodes[0]
	for n.axis >= 0 {
		if n.goesLow(z) {
			n = &t.nodes[n.low]
		} else {
			n = &t.nodes[n.high]
		}
	}
	return n
}

// split is a way to part rows in two; gain is by how much it lowers the sum of squares,
// 0 where it does not.
type split struct {
	axis int
	cut  float64
	left []bool
	gain float64
}

// find is the best cut of an axis. Categories are put in the order of their means,
// which holds the best of all sets (Fisher 1958).
func (s *split) find(r *treeRule, x [][]float64, y []float64, at []int) {
	at = slices.Clone(at)
	place := func(i int) float64 { return x[i][s.axis] }
	if r.cat[s.axis] {
		means := categoryMeans(r.card[s.axis], s.axis, x, y, at)
		place = func(i int) float64 { return means[int(x[i][s.axis])+1] }
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Or(cmp.Compare(place(a), place(b)), a-b) })
	total := 0.0
	for _, i := range at {
		total += y[i]
	}
	sum, n, cut := 0.0, float64(len(at)), 0
	base := total * total / n
	for k := 1; k < len(at); k++ {
		sum += y[at[k-1]]
		if k < r.leaf || len(at)-k < r.leaf || place(at[k]) <= place(at[k-1]) {
			continue
		}
		m := float64(k)
		if gain := sum*sum/m + (total-sum)*(total-sum)/(n-m) - base; gain > s.gain {
			s.gain, cut = gain, k
		}
	}
	if s.gain <= 0 {
		return
	}
	s.cut = (place(at[cut-1]) + place(at[cut])) / 2
	if r.cat[s.axis] {
		s.left = make([]bool, r.card[s.axis]+1)
		for _, i := range at[:cut] {
			s.left[int(x[i][s.axis])+1] = true
		}
	}
}

func categoryMeans(card, axis int, x [][]float64, y []float64, at []int) []float64 {
	sum, n := make([]float64, card+1), make([]float64, card+1)
	for _, i := range at {
		c := int(x[i][axis]) + 1
		sum[c], n[c] = sum[c]+y[i], n[c]+1
	}
	for c := range sum {
		sum[c] /= math.Max(n[c], 1)
	}
	return sum
}

// draw is one cut of an axis by chance, between its lowest and its highest value, or
// any set of categories (Geurts and others 2006).
func (s *split) draw(r *treeRule, x [][]float64, y []float64, at []int, rng *rand.Rand) {
	n := treeNode{axis: s.axis}
	if r.cat[s.axis] {
		s.left = make([]bool, r.card[s.axis]+1)
		for c := range s.left {
			s.left[c] = rng.IntN(2) == 0
		}
		n.left = s.left
	} else {
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, i := range at {
			lo, hi = math.Min(lo, x[i][s.axis]), math.Max(hi, x[i][s.axis])
		}
		if lo == hi {
			return
		}
		s.cut = lo + rng.Float64()*(hi-lo)
		n.cut = s.cut
	}
	total, sum, m := 0.0, 0.0, 0
	for _, i := range at {
		total += y[i]
		if n.goesLow(x[i]) {
			sum, m = sum+y[i], m+1
		}
	}
	if rest := len(at) - m; m >= r.leaf && rest >= r.leaf {
		s.gain = sum*sum/float64(m) + (total-sum)*(total-sum)/float64(rest) - total*total/float64(len(at)) + 1e-12
	}
}
