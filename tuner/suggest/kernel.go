package suggest

import (
	"math"
	"math/rand/v2"
)

// kernel is a normal distribution on [0, 1], cut off at the ends; of an infinite sigma
// it is the uniform one, of trials without the parameter.
type kernel struct {
	mu, sigma float64
	inverse   float64 // 1/(sigma*sqrt(2)): the density at u is exp(log - ((u-mu)*inverse)^2)
	log       float64 // the logarithm of its factor
}

var uniform = kernel{sigma: math.Inf(1)}

// newKernel is the normal distribution around mu, cut off at 0 and 1.
func newKernel(mu, sigma float64) kernel {
	k := kernel{mu: mu, sigma: sigma, inverse: 1 / (sigma * math.Sqrt2)}
	k.log = -math.Log(k.whole(0, 1) * sigma * math.Sqrt(2*math.Pi))
	return k
}

// whole is what the kernel, not cut off, has from low to high.
func (k *kernel) whole(low, high float64) float64 {
	a, b := (low-k.mu)/k.sigma, (high-k.mu)/k.sigma
	if a < -6 && b > 6 {
		return 1
	}
	if a > 0 { // in the lower tail no digits are lost
		a, b = -b, -a
	}
	if b < -9 { // the prior's share is far more
		return 1e-20
	}
	return phi(b) - phi(a) + 1e-20
}

// mass is what the kernel, cut off, has from low to high.
func (k *kernel) mass(low, high float64) float64 {
	if math.IsInf(k.sigma, 1) {
		return high - low
	}
	// Where the cell is narrow the density in its middle will do.
	if high-low < k.sigma/4 {
		return k.density((low+high)/2) * (high - low)
	}
	return k.whole(low, high) * math.Exp(k.log) * k.sigma * math.Sqrt(2*math.Pi)
}

func (k *kernel) density(u float64) float64 {
	z := (u - k.mu) * k.inverse
	return math.Exp(k.log - z*z)
}

// draw is a number from the kernel.
func (k *kernel) draw(chance *rand.Rand) float64 {
	u := chance.Float64()
	if math.IsInf(k.sigma, 1) {
		return u
	}
	low, high := phi(-k.mu/k.sigma), phi((1-k.mu)/k.sigma)
	z := math.Sqrt2 * math.Erfinv(2*(low+u*(high-low))-1)
	return math.Max(0, math.Min(k.mu+k.sigma*z, 1))
}
