package suggest

func newMedianStop(s *settings) Stopper { return nil }
