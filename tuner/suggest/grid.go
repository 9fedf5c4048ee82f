package suggest

func newGrid(s *settings) Algorithm { return notYet{} }
