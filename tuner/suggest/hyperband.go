package suggest

func newHyperband(s *settings) Algorithm { return notYet{} }
