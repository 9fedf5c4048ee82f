package suggest

import "math"

// acquisition says how promising a point is whose loss is predicted as mean with
// standard deviation sd, where best is to be beaten: its value, higher is better, and
// its derivatives by mean and sd. All are for losses, so that lower means are better.
type acquisition func(mean, sd, best float64) (v, dMean, dSD float64)

// logEI is the logarithm of the expected improvement (Jones and others 1998), computed
// so that it neither underflows nor loses its gradient far from where improvement is
// likely (Ament and others 2023, "Unexpected Improvements to Expected Improvement").
func logEI(mean, sd, best float64) (v, dMean, dSD float64) {
	z := (best - mean) / sd
	lh, slope := logH(z)
	return math.Log(sd) + lh, -slope / sd, (1 - slope*z) / sd
}

// logH is log(φ(z) + z Φ(z)), and its derivative Φ(z) / (φ(z) + z Φ(z)).
func logH(z float64) (v, slope float64) {
	const logRoot2Pi = 0.91893853320467274178
	if z > -1 {
		phi, cum := math.Exp(-z*z/2-logRoot2Pi), math.Erfc(-z/math.Sqrt2)/2
		h := phi + z*cum
		return math.Log(h), cum / h
	}
	ratio := mills(-z)
	rest := 1 + z*ratio // h / φ
	if z < -30 {
		q := 1 / (z * z)
		rest = q * (1 - 3*q*(1-5*q*(1-7*q)))
	}
	return -z*z/2 - logRoot2Pi + math.Log(rest), ratio / rest
}

// mills is (1 - Φ(x)) / φ(x), for x > 0.
func mills(x float64) float64 {
	if x < 30 {
		return math.Sqrt(math.Pi/2) * math.Exp(x*x/2) * math.Erfc(x/math.Sqrt2)
	}
	q := 1 / (x * x)
	return (1 - q*(1-3*q*(1-5*q))) / x
}

// logPI is the logarithm of the probability of an improvement (Kushner 1964).
func logPI(mean, sd, best float64) (v, dMean, dSD float64) {
	z := (best - mean) / sd
	lc, slope := logCumulative(z)
	return lc, -slope / sd, -slope * z / sd
}

// logCumulative is log Φ(z), and its derivative φ(z) / Φ(z).
func logCumulative(z float64) (v, slope float64) {
	const logRoot2Pi = 0.91893853320467274178
	density := -z*z/2 - logRoot2Pi
	if z < -1 {
		m := mills(-z)
		return density + math.Log(m), 1 / m
	}
	cum := math.Erfc(-z/math.Sqrt2) / 2
	return math.Log(cum), math.Exp(density) / cum
}

// kappa is how many standard deviations the lower confidence bound goes down, as in
// scikit-optimize.
const kappa = 1.96

// lowerBound is the negative lower confidence bound (Srinivas and others 2010).
func lowerBound(mean, sd, _ float64) (v, dMean, dSD float64) {
	return kappa*sd - mean, -1, kappa
}

// newNews is the logarithm of the factor of the augmented expected improvement (Huang
// and others 2006), 1 - √(noise / (noise + sd²)), and its derivative by sd: a trial
// where the loss is known better than the noise tells little. Without it a point would
// be tried again and again for improvements that are within the noise.
func newNews(sd, noise float64) (v, dSD float64) {
	half := math.Log1p(sd*sd/noise) / 2
	factor := -math.Expm1(-half)
	return math.Log(factor), (1 - factor) / factor * sd / (noise + sd*sd)
}
