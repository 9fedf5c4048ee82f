package suggest

func newAuto(s *settings) Algorithm { return newMultivariateTPE(s) }
