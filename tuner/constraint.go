package tuner

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/wherry-ml/wherry/tuner/suggest"
)

// constraint is a condition in CEL (the Common Expression Language) that a trial is to
// keep: over parameters alone it decides what is tried, with a metric it says which
// trials may be the best.
type constraint struct {
	text    string
	program cel.Program
	metrics bool // it names one
}

// maxConstraintCost bounds one evaluation.
const maxConstraintCost = 10_000

// compile reads the experiment's constraints. Doubles and metrics are double, ints int,
// discrete parameters double, categorical ones string; a parameter that is not there is
// NaN, 0 or "".
func (e *Experiment) compile() ([]constraint, error) {
	if len(e.Constraints) == 0 {
		return nil, nil
	}
	var options []cel.EnvOption
	for i := range e.Parameters {
		kind := cel.DoubleType
		switch e.Parameters[i].Kind {
		case suggest.Int:
			kind = cel.IntType
		case suggest.Categorical:
			kind = cel.StringType
		}
		options = append(options, cel.Variable(e.Parameters[i].Name, kind))
	}
	for _, m := range e.Metrics() {
		options = append(options, cel.Variable(m, cel.DoubleType))
	}
	env, err := cel.NewEnv(append(options, cel.CrossTypeNumericComparisons(true))...)
	if err != nil {
		return nil, fmt.Errorf("constraints: %w", err)
	}
	var out []constraint
	for _, text := range e.Constraints {
		ast, issues := env.Compile(text)
		if issues != nil && issues.Err() != nil {
			return nil, fmt.Errorf("constraint %q: %s", text, strings.TrimPrefix(strings.SplitN(issues.Err().Error(), "\n", 2)[0], "ERROR: "))
		}
		if !ast.OutputType().IsExactType(cel.BoolType) {
			return nil, fmt.Errorf("constraint %q is %s, not true or false", text, ast.OutputType())
		}
		program, err := env.Program(ast, cel.CostLimit(maxConstraintCost))
		if err != nil {
			return nil, fmt.Errorf("constraint %q: %w", text, err)
		}
		c := constraint{text: text, program: program}
		for _, r := range ast.NativeRep().ReferenceMap() {
			for _, m := range e.Metrics() {
				c.metrics = c.metrics || r.Name == m
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// CheckConstraints says what is wrong with a constraint.
func (e *Experiment) CheckConstraints() error {
	_, err := e.compile()
	return err
}

// feasible is whether a point keeps the constraints on parameters; nil where there are none.
func (e *Experiment) feasible(all []constraint) func(suggest.Point) bool {
	var some []constraint
	for _, c := range all {
		if !c.metrics {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return func(x suggest.Point) bool {
		vars := e.variables(x)
		for _, c := range some {
			if !c.holds(vars) {
				return false
			}
		}
		return true
	}
}

// violation is how many constraints on metrics a trial breaks.
func (e *Experiment) violation(all []constraint, t *Trial) float64 {
	n := 0.0
	for _, c := range all {
		if !c.metrics {
			continue
		}
		vars := e.variables(t.Proposal.Point)
		for _, m := range e.Metrics() {
			vars[m] = t.Value(e, m)
		}
		if !c.holds(vars) {
			n++
		}
	}
	return n
}

func (e *Experiment) variables(x suggest.Point) map[string]any {
	vars := map[string]any{}
	for i := range e.Parameters {
		p := &e.Parameters[i]
		switch gone := math.IsNaN(x[i]); {
		case p.Kind == suggest.Categorical && gone:
			vars[p.Name] = ""
		case p.Kind == suggest.Int && gone:
			vars[p.Name] = int64(0)
		case gone:
			vars[p.Name] = math.NaN()
		case p.Kind == suggest.Categorical:
			vars[p.Name] = p.List[int(x[i])]
		case p.Kind == suggest.Int:
			vars[p.Name] = int64(math.Round(x[i]))
		case p.Kind == suggest.Discrete:
			vars[p.Name], _ = strconv.ParseFloat(p.List[int(x[i])], 64) // CheckParameter has seen that it is one
		default:
			vars[p.Name] = x[i]
		}
	}
	return vars
}

// holds is false also where the condition has no value: a division by zero.
func (c *constraint) holds(vars map[string]any) bool {
	out, _, err := c.program.Eval(vars)
	if err != nil {
		return false
	}
	b, ok := out.Value().(bool)
	return ok && b
}

var errWarm = errors.New("warm start is for random, tpe, multivariate-tpe, bayesianoptimization and auto: the others build on their own trials")

// CheckWarm says whether the experiment's algorithm can learn from other experiments.
func (e *Experiment) CheckWarm() error {
	switch e.Algorithm.Name {
	case "random", "tpe", "multivariate-tpe", "bayesianoptimization", "auto":
		return nil
	}
	return errWarm
}

// Warm are the trials of an earlier experiment as far as they say something of this
// one's space: those that have ended well, whose parameters all lie in it, and that
// have its objectives.
func (e *Experiment) Warm(from *Experiment, trials []*Trial) []suggest.Trial {
	var out []suggest.Trial
	for _, t := range trials {
		if !t.State.Counts() {
			continue
		}
		values := map[string]string{}
		for _, a := range t.Assignments(from) {
			values[a.Name] = a.Value
		}
		x, err := e.point(values)
		losses := t.losses(e)
		if err != nil || losses == nil {
			continue
		}
		out = append(out, suggest.Trial{
			Proposal: suggest.Proposal{Point: x, Parent: suggest.None, Bracket: -1}, Number: len(out), State: suggest.Succeeded, Losses: losses,
		})
	}
	return out
}

// point is the point of some values; a parameter that is missing is one that a
// condition leaves out, or an error.
func (e *Experiment) point(values map[string]string) (suggest.Point, error) {
	space := e.Space(nil)
	x := make(suggest.Point, len(e.Parameters))
	for i := range e.Parameters {
		if !space.Active(x, i) {
			x[i] = math.NaN()
			continue
		}
		v, ok := values[e.Parameters[i].Name]
		if !ok {
			return nil, fmt.Errorf("parameter %s is missing", e.Parameters[i].Name)
		}
		var err error
		if x[i], err = e.Parameters[i].Parse(v); err != nil {
			return nil, err
		}
	}
	return x, nil
}
