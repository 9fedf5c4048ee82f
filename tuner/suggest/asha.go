package suggest

func newASHA(s *settings) Algorithm { return notYet{} }

func newASHAStop(s *settings) Stopper { return nil }
