package suggest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Kind says what values a parameter takes.
type Kind uint8

// Discrete values are numbers in an order, categorical ones have none.
const (
	Double Kind = iota
	Int
	Discrete
	Categorical
)

// Distribution says where in its range a parameter is looked for.
type Distribution uint8

// Normal has its mean in the middle of the range and a sixth of it as deviation, cut
// off at the bounds, as in Katib; LogUniform and LogNormal are the same on a
// logarithmic scale.
const (
	Uniform Distribution = iota
	LogUniform
	Normal
	LogNormal
)

// Parameter is one dimension of a space.
type Parameter struct {
	Name         string
	Kind         Kind
	Min, Max     float64 // of Double and Int, both inclusive
	Step         float64 // of Double and Int: values are Min + k*Step; 0: any (Int: 1)
	Distribution Distribution
	List         []string // of Discrete (numbers, ascending) and Categorical
	When         *When    // nil: always there
}

// When makes a parameter conditional: it is there only while another one, that stands
// before it in the space, has one of some values.
type When struct {
	Parameter int       // its place in the space
	In        []float64 // coordinates, see Point
}

// Space is what an experiment searches.
type Space struct {
	Parameters []Parameter
	// Feasible says whether a point may be tried; nil: all may. It is pure.
	Feasible func(Point) bool
}

// Point is a value for each parameter of a space, in its order: the number itself of a
// Double or Int, the index in the list of a Discrete or Categorical, NaN where a
// condition says that the parameter is not there.
type Point []float64

// Log says whether a parameter is searched on a logarithmic scale.
func (p *Parameter) Log() bool { return p.Distribution == LogUniform || p.Distribution == LogNormal }

// Cardinality is how many values a parameter can take; 0: uncountably many.
func (p *Parameter) Cardinality() int {
	switch {
	case p.Kind == Discrete || p.Kind == Categorical:
		return len(p.List)
	case p.Kind == Int || p.Step > 0:
		return int(math.Floor((p.Max-p.Min)/p.step()+1e-9)) + 1
	}
	return 0
}

func (p *Parameter) step() float64 {
	if p.Kind == Int && p.Step == 0 {
		return 1
	}
	return p.Step
}

// Round is the value of the parameter nearest to v, within its bounds and steps.
func (p *Parameter) Round(v float64) float64 {
	if p.Kind == Discrete || p.Kind == Categorical {
		return math.Max(0, math.Min(math.Round(v), float64(len(p.List)-1)))
	}
	v = math.Max(p.Min, math.Min(v, p.Max))
	step := p.step()
	if step == 0 {
		return v
	}
	k := math.Min(math.Round((v-p.Min)/step), float64(p.Cardinality()-1))
	return p.Min + k*step
}

// Format writes a coordinate as the trial gets it.
func (p *Parameter) Format(v float64) string {
	switch p.Kind {
	case Discrete, Categorical:
		return p.List[int(v)]
	case Int:
		return strconv.FormatInt(int64(math.Round(v)), 10)
	}
	if p.Step > 0 { // 0.1 + 2*0.1 is 0.3 to a person
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Parse is the inverse of Format: the coordinate of a value. It is for what comes from
// outside, such as trials of an earlier experiment.
func (p *Parameter) Parse(s string) (float64, error) {
	if p.Kind == Discrete || p.Kind == Categorical {
		if i := slices.Index(p.List, s); i >= 0 {
			return float64(i), nil
		}
		v, err := strconv.ParseFloat(s, 64)
		for i, l := range p.List {
			if n, e := strconv.ParseFloat(l, 64); p.Kind == Discrete && err == nil && e == nil && n == v {
				return float64(i), nil
			}
		}
		return 0, fmt.Errorf("%s has no value %q", p.Name, s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is to be a number, not %q", p.Name, s)
	}
	if v < p.Min || v > p.Max {
		return 0, fmt.Errorf("%s is to be from %g to %g, not %s", p.Name, p.Min, p.Max, s)
	}
	if p.Kind == Int && v != math.Round(v) {
		return 0, fmt.Errorf("%s is to be a whole number, not %s", p.Name, s)
	}
	return v, nil
}

// Active says whether the parameter at place i is there, given the ones before it.
func (s *Space) Active(x Point, i int) bool {
	w := s.Parameters[i].When
	return w == nil || slices.Contains(w.In, x[w.Parameter])
}

// Mask sets to NaN what is not there by the space's conditions.
func (s *Space) Mask(x Point) Point {
	for i := range x {
		if !s.Active(x, i) {
			x[i] = math.NaN()
		}
	}
	return x
}

// May says whether a point may be tried.
func (s *Space) May(x Point) bool { return s.Feasible == nil || s.Feasible(x) }

// Cardinality is the number of points of a space; 0: uncountably many, or more than
// an int holds.
func (s *Space) Cardinality() int {
	n := 1
	for i := range s.Parameters {
		c := s.Parameters[i].Cardinality()
		if c == 0 || n > math.MaxInt/c {
			return 0
		}
		n *= c
	}
	return n
}
