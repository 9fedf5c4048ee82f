package suggest

func newMultivariateTPE(s *settings) Algorithm { return notYet{} }
