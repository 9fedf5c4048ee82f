package suggest

func newTPE(s *settings) Algorithm { return notYet{} }
