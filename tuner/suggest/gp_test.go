package suggest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// gpCase is a small problem with numbers and a category.
func gpCase(n int) (cat []bool, x [][]float64, y []float64) {
	rng := rand.New(rand.NewPCG(7, 7))
	cat = []bool{false, true, false}
	for range n {
		z := []float64{rng.Float64(), float64(rng.IntN(3)), rng.Float64()}
		x = append(x, z)
		y = append(y, math.Sin(5*z[0])+math.Abs(z[1]-1)+0.05*rng.NormFloat64())
	}
	unitVariance(y)
	return cat, x, y
}

// difference is the central difference of f by x[j].
func difference(x []float64, j int, f func([]float64) float64) float64 {
	const h = 1e-5
	a, b := append([]float64(nil), x...), append([]float64(nil), x...)
	a[j] -= h
	b[j] += h
	return (f(b) - f(a)) / (2 * h)
}

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol*(1+math.Abs(b)) }

func TestFitGradient(t *testing.T) {
	f := newGPFit(gpCase(15))
	at, grad := []float64{0.7, -0.4, 1.5, 0.3, -3}, make([]float64, 5)
	f.loss(at, grad)
	for j := range at {
		if want := difference(at, j, func(x []float64) float64 { return f.loss(x, make([]float64, 5)) }); !near(grad[j], want, 1e-5) {
			t.Errorf("derivative %d of the fit is %g, want %g", j, grad[j], want)
		}
	}
}

// TestFitFinds: noise, what matters and what does not are told apart.
func TestFitFinds(t *testing.T) {
	cat, x, y := gpCase(60)
	h := fitGP(cat, x, y)
	if h.w[0] < 10*h.w[2] || h.w[1] < 2*h.w[2] {
		t.Errorf("weights %.3g: the third parameter has no effect, the others have", h.w)
	}
	if h.noise < 1e-4 || h.noise > 0.05 {
		t.Errorf("the noise's variance is %g, it was made about 0.004", h.noise)
	}
}

func TestPosterior(t *testing.T) {
	cat, x, y := gpCase(12)
	g := newGP(hyper{w: []float64{3, 1, 2}, s: 1.3, noise: 1e-8}, cat, x, y)
	tmp, grad := g.scratch(), make([]float64, 3)
	for i := range x {
		if mu, v := g.predict(x[i], tmp); !near(mu, y[i], 1e-4) || v > 1e-5 {
			t.Errorf("at observation %d: %g ± %g, want %g", i, mu, v, y[i])
		}
	}
	z := []float64{0.31, 1, 0.77}
	g.predict(z, tmp)
	g.slope(z, tmp, 0.6, -1.7, grad)
	for _, j := range []int{0, 2} {
		want := difference(z, j, func(z []float64) float64 {
			mu, v := g.predict(z, tmp)
			return 0.6*mu - 1.7*v
		})
		if !near(grad[j], want, 1e-4) {
			t.Errorf("slope %d is %g, want %g", j, grad[j], want)
		}
	}
}

func TestAcquisitionGradients(t *testing.T) {
	for name, f := range map[string]acquisition{"EI": logEI, "PI": logPI, "LCB": lowerBound} {
		for _, z := range []float64{3, 0.5, -0.999, -1.001, -5, -29.9, -30.1, -500} {
			at := []float64{-z, 1} // mean, sd; best is 0
			_, dm, ds := f(at[0], at[1], 0)
			value := func(x []float64) float64 { v, _, _ := f(x[0], x[1], 0); return v }
			if m, s := difference(at, 0, value), difference(at, 1, value); !near(dm, m, 1e-4) || !near(ds, s, 1e-4) {
				t.Errorf("%s at %g: slopes %g %g, want %g %g", name, z, dm, ds, m, s)
			}
		}
	}
}

// Reference values by mpmath at 50 digits: log(φ(z) + z Φ(z)).
func TestLogEIFar(t *testing.T) {
	for z, want := range map[float64]float64{0: -0.9189385332046727, -1: -2.4851210257126, -10: -55.5531220361, -40: -808.2985683567} {
		if v, _ := logH(z); !near(v, want, 1e-6) {
			t.Errorf("logH(%g) is %.10g, want %.10g", z, v, want)
		}
	}
}

func TestStandardize(t *testing.T) {
	y := standardize([]float64{3, math.Inf(1), 1, 2, math.Inf(-1), 1e6, 2.5})
	order := []int{2, 3, 6, 0, 5}
	for i := 1; i < len(order); i++ {
		if !(y[order[i-1]] < y[order[i]]) {
			t.Errorf("the order changed: %v", y)
		}
	}
	if y[1] != y[5] || y[4] != y[2] {
		t.Errorf("infinite losses are to be as the worst and the best: %v", y)
	}
	if y[5] > 4 {
		t.Errorf("one bad loss is %g deviations away", y[5])
	}
	for _, v := range standardize([]float64{math.MaxFloat64, -math.MaxFloat64, 1}) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Errorf("the largest floats became %g", v)
		}
	}
}
