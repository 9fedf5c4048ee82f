package suggest

func newSobol(s *settings) Algorithm { return notYet{} }
