package suggest

func newRandom(s *settings) Algorithm { return notYet{} }
