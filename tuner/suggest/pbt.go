package suggest

func newPBT(s *settings) Algorithm { return notYet{} }
