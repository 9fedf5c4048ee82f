package suggest

func newBayes(s *settings) Algorithm { return notYet{} }
