package suggest

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// gaussianProcess is the posterior of a Gaussian process with a Matérn 5/2 kernel with
// one length scale for each coordinate, given n noisy observations (Rasmussen and
// Williams 2006, algorithm 2.1 and equation 4.17):
//
//	k(x, x') = s (1 + √5 r + 5/3 r²) exp(-√5 r),  r² = Σ_j w_j δ_j(x, x')²
//
// where δ is the difference of two numbers and 0 or 1 for equal or other categories.
// The mean is zero: what it models is standardized.
type gaussianProcess struct {
	hyper
	cat   []bool    // d; which coordinates are categories
	x     []float64 // n × d, in rows
	n, d  int
	inv   [][]float64 // inverse of the Cholesky factor, row i has i+1 entries
	alpha []float64   // n: (K + noise I)⁻¹ y
}

// hyper are the parameters of the kernel.
type hyper struct {
	w     []float64 // d: inverse squared length scales
	s     float64   // variance of the signal
	noise float64   // variance of the noise
}

// matern is the correlation at a squared scaled distance, and its derivative by that.
func matern(r2 float64) (k, dk float64) {
	r := math.Sqrt(5 * r2)
	e := math.Exp(-r)
	return (1 + r + r*r/3) * e, -5.0 / 6 * (1 + r) * e
}

// newGP conditions a process on rows x (n × d) and values y (n).
func newGP(h hyper, cat []bool, x [][]float64, y []float64) *gaussianProcess {
	g := &gaussianProcess{hyper: h, cat: cat, n: len(x), d: len(cat)}
	for _, row := range x {
		g.x = append(g.x, row...)
	}
	k := triangle(g.n)
	for jitter := h.noise; ; jitter = 10*jitter + 1e-10 {
		for i := range k {
			for j := range i {
				k[i][j], _ = matern(g.distance(x[i], j))
				k[i][j] *= h.s
			}
			k[i][i] = h.s + jitter
		}
		if cholesky(k) {
			break
		}
	}
	g.inv = triangle(g.n)
	invertLower(k, g.inv)
	g.alpha = make([]float64, g.n)
	for i, row := range g.inv { // alpha = inv^T (inv y)
		floats.AddScaled(g.alpha[:i+1], floats.Dot(row, y[:i+1]), row)
	}
	return g
}

// distance is the squared scaled distance of z from observation i.
func (g *gaussianProcess) distance(z []float64, i int) float64 {
	r2, row := 0.0, g.x[i*g.d:(i+1)*g.d]
	for j, v := range row {
		t := z[j] - v
		if t == 0 {
			continue
		}
		if g.cat[j] {
			t = 1
		}
		r2 += g.w[j] * t * t
	}
	return r2
}

// scratch is what an evaluation needs, so that it allocates nothing.
type scratch struct{ k, dk, v, b []float64 }

func (g *gaussianProcess) scratch() *scratch {
	buf := make([]float64, 4*g.n)
	return &scratch{buf[:g.n], buf[g.n : 2*g.n], buf[2*g.n : 3*g.n], buf[3*g.n:]}
}

// predict is the posterior mean and variance of the signal at z.
func (g *gaussianProcess) predict(z []float64, t *scratch) (mean, variance float64) {
	for i := range t.k {
		k, dk := matern(g.distance(z, i))
		t.k[i], t.dk[i] = g.s*k, g.s*dk
	}
	variance = g.s
	for i, row := range g.inv {
		t.v[i] = floats.Dot(row, t.k[:i+1])
		variance -= t.v[i] * t.v[i]
	}
	return floats.Dot(t.k, g.alpha), math.Max(variance, 1e-14*g.s)
}

// slope adds up the gradients of mean and variance at z, weighted by a and b, into out
// (d). It follows a predict at the same z. Categories have no slope.
func (g *gaussianProcess) slope(z []float64, t *scratch, a, b float64, out []float64) {
	clear(t.b)
	for i, row := range g.inv {
		floats.AddScaled(t.b[:i+1], t.v[i], row)
	}
	clear(out)
	for i := range t.k {
		f := 2 * t.dk[i] * (a*g.alpha[i] - 2*b*t.b[i])
		row := g.x[i*g.d : (i+1)*g.d]
		for j, v := range row {
			out[j] += f * (z[j] - v)
		}
	}
	for j := range out {
		out[j] *= g.w[j]
		if g.cat[j] {
			out[j] = 0
		}
	}
}

// triangle is a lower triangular matrix in rows.
func triangle(n int) [][]float64 {
	buf, m := make([]float64, n*(n+1)/2), make([][]float64, n)
	for i := range m {
		m[i], buf = buf[:i+1:i+1], buf[i+1:]
	}
	return m
}

// cholesky factors a symmetric matrix in place; false: it is not positive definite.
func cholesky(a [][]float64) bool {
	for i, row := range a {
		for j := range i {
			row[j] = (row[j] - floats.Dot(row[:j], a[j][:j])) / a[j][j]
		}
		p := row[i] - floats.Dot(row[:i], row[:i])
		if !(p > 1e-12*row[i]) {
			return false
		}
		row[i] = math.Sqrt(p)
	}
	return true
}

// invertLower fills inv with the inverse of a lower triangular matrix.
func invertLower(l, inv [][]float64) {
	for i, row := range l {
		out := inv[i]
		clear(out)
		for k := range i {
			floats.AddScaled(out[:k+1], -row[k], inv[k])
		}
		floats.Scale(1/row[i], out[:i])
		out[i] = 1 / row[i]
	}
}
