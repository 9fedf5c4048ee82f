package suggest

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// standardize maps losses to what a Gaussian process can model: infinite ones become
// the worst or best finite one, a long tail of bad ones is shortened, and the mean is 0
// and the variance 1. The order stays.
//
// The tail is shortened by the power transform of Yeo and Johnson (2000) with the power
// in [-1, 1] of the highest likelihood, as in HEBO (Cowen-Rivers and others 2022);
// powers over 1, which would squeeze the good end together, are left out.
func standardize(losses []float64) []float64 {
	y := finite(losses)
	if !unitVariance(y) {
		return y
	}
	if power := yeoJohnsonPower(y); power < 1 {
		for i := range y {
			y[i] = yeoJohnson(y[i], power)
		}
		unitVariance(y)
	}
	return y
}

// finite replaces infinite values by the worst or best finite one.
func finite(losses []float64) []float64 {
	y, lo, hi := slices.Clone(losses), math.Inf(1), math.Inf(-1)
	for _, v := range y {
		if !math.IsInf(v, 0) {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if lo > hi {
		lo, hi = 0, 1 // none is finite: -Inf still is better than +Inf
	}
	for i := range y {
		y[i] = math.Max(lo, math.Min(y[i], hi))
	}
	return y
}

// unitVariance shifts and scales y; false: all are equal, and y is now 0.
func unitVariance(y []float64) bool {
	if len(y) == 0 {
		return false
	}
	scale := 0.0 // what is near the largest float must not overflow when squared
	for _, v := range y {
		scale = math.Max(scale, math.Abs(v))
	}
	for i := range y {
		if scale > 0 {
			y[i] /= scale
		}
	}
	mean, sd := stat.PopMeanStdDev(y, nil)
	if !(sd > 1e-14) {
		clear(y)
		return false
	}
	for i := range y {
		y[i] = (y[i] - mean) / sd
	}
	return true
}

func yeoJohnson(v, power float64) float64 {
	if v >= 0 {
		if math.Abs(power) < 1e-9 {
			return math.Log1p(v)
		}
		return (math.Pow(1+v, power) - 1) / power
	}
	return -(math.Pow(1-v, 2-power) - 1) / (2 - power)
}

// yeoJohnsonPower is the power in [-1, 1] that makes y most like a normal sample, by
// golden section; y is standardized.
func yeoJohnsonPower(y []float64) float64 {
	change := 0.0
	for _, v := range y {
		change += math.Copysign(math.Log1p(math.Abs(v)), v)
	}
	t := make([]float64, len(y))
	misfit := func(power float64) float64 {
		for i, v := range y {
			t[i] = yeoJohnson(v, power)
		}
		return float64(len(y))/2*math.Log(stat.PopVariance(t, nil)+1e-300) - (power-1)*change
	}
	const ratio = 0.6180339887498949
	lo, hi := -1.0, 1.0
	a, b := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
	fa, fb := misfit(a), misfit(b)
	for range 20 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - ratio*(hi-lo)
			fa = misfit(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + ratio*(hi-lo)
			fb = misfit(b)
		}
	}
	if hi > 0.999 && misfit(1) <= math.Min(fa, fb) {
		return 1
	}
	return (lo + hi) / 2
}
