package suggest

import "errors"

// notYet stands where an algorithm is to come.
type notYet struct{}

func (notYet) Next(Query) (Proposal, error) { return Proposal{}, errors.New("not yet") }
