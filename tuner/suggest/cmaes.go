package suggest

func newCMAES(s *settings) Algorithm { return notYet{} }
