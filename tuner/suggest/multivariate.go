package suggest

// newMultivariateTPE takes the settings of newTPE, of which n_EI_candidates is 48 unless
// it is given, and:
//
//	group  parameters with the same condition have an estimator of their own; false:
//	       one estimator of all, in which a trial says nothing of what it does not have
func newMultivariateTPE(s *settings) Algorithm {
	t := parzenSettings(s, 48)
	t.joint, t.group = true, s.bool("group", false)
	return t
}
