package suggest

import (
	"fmt"
	"slices"
	"strings"
)

// algorithms are the constructors by Katib's names. Each takes its settings with the
// methods of s, which fail once at the end for what is unknown.
var algorithms = map[string]func(s *settings) Algorithm{
	"random":               newRandom,
	"grid":                 newGrid,
	"sobol":                newSobol,
	"tpe":                  newTPE,
	"multivariate-tpe":     newMultivariateTPE,
	"bayesianoptimization": newBayes,
	"cmaes":                newCMAES,
	"hyperband":            newHyperband,
	"asha":                 newASHA,
	"pbt":                  newPBT,
	"auto":                 newAuto,
}

// refused are Katib's names that are not to be had here, and why.
var refused = map[string]string{
	"enas":  "it searches network graphs with a controller network that trains on a GPU in a service of its own",
	"darts": "it is one training script on a GPU, not a search: Katib's service only hands it settings",
}

// stoppers are the constructors of what stops trials early.
var stoppers = map[string]func(s *settings) Stopper{
	"medianstop": newMedianStop,
	"asha":       newASHAStop,
}

// UnknownError says that there is no algorithm of a name.
type UnknownError struct{ Name, Reason string }

func (e *UnknownError) Error() string { return fmt.Sprintf("algorithm %q: %s", e.Name, e.Reason) }

// Names are the algorithms that New makes, sorted.
func Names() []string {
	var names []string
	for n := range algorithms {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// New makes an algorithm by Katib's name for it. Errors are *UnknownError and
// *SettingError.
func New(name string, given []Setting) (Algorithm, error) {
	build, ok := algorithms[strings.ToLower(name)]
	if !ok {
		if why := refused[strings.ToLower(name)]; why != "" {
			return nil, &UnknownError{name, "is not to be had here: " + why}
		}
		return nil, &UnknownError{name, "there is no such algorithm; there are: " + strings.Join(Names(), ", ")}
	}
	s := &settings{algorithm: name, given: given}
	a := build(s)
	if err := s.done(); err != nil {
		return nil, err
	}
	return a, nil
}

// NewStopper makes what stops trials early, by Katib's name for it.
func NewStopper(name string, given []Setting) (Stopper, error) {
	build, ok := stoppers[strings.ToLower(name)]
	if !ok {
		return nil, &UnknownError{name, "there is no such early stopping; there are: asha, medianstop"}
	}
	s := &settings{algorithm: name, given: given}
	stop := build(s)
	if err := s.done(); err != nil {
		return nil, err
	}
	return stop, nil
}
