package suggest

func newAuto(s *settings) Algorithm { return notYet{} }
