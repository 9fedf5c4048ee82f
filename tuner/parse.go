package tuner

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wherry-ml/wherry/tuner/suggest"
)

var spaceForm = regexp.MustCompile(`^([A-Za-z_][\w.-]*)=([a-z]+)\((.*)\)$`)

// ParseParameter reads a parameter in the short form of the command line:
//
//	lr=log(1e-4,1e-1)        a double on a logarithmic scale
//	dropout=uniform(0,0.5)   a double; uniform(0,0.5,0.1) in steps of 0.1
//	noise=normal(0,1)        a double, mostly near the middle; lognormal(…) on a log scale
//	depth=int(2,12)          whole numbers, both ends included; int(2,12,2) in steps
//	batch=logint(16,1024)    whole numbers on a logarithmic scale
//	units=discrete(32,64,96) numbers in an order
//	kind=choice(rf,gb)       words without an order
//
// With " if OTHER=VALUE|VALUE" after it the parameter is there only while another one
// of before has one of these values.
func ParseParameter(text string, before []Parameter) (Parameter, error) {
	text, condition, conditional := strings.Cut(text, " if ")
	p, err := parseParameter(text)
	if err == nil && conditional {
		p.When, err = parseWhen(p.Name, condition, before)
	}
	return p, err
}

// parseWhen reads OTHER=VALUE|VALUE.
func parseWhen(name, text string, before []Parameter) (*suggest.When, error) {
	other, values, ok := strings.Cut(strings.TrimSpace(text), "=")
	i := slices.IndexFunc(before, func(p Parameter) bool { return p.Name == strings.TrimSpace(other) })
	if !ok || i < 0 {
		return nil, fmt.Errorf("%s: %q is not OTHER=VALUE of a parameter that stands before it", name, text)
	}
	w := &suggest.When{Parameter: i}
	for _, v := range strings.Split(values, "|") {
		x, err := before[i].Parse(strings.TrimSpace(v))
		if err != nil {
			return nil, fmt.Errorf("%s: if %v", name, err)
		}
		w.In = append(w.In, x)
	}
	return w, nil
}

func parseParameter(text string) (Parameter, error) {
	m := spaceForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return Parameter{}, fmt.Errorf("%q is not NAME=KIND(…)", text)
	}
	p := Parameter{Name: m[1]}
	var args []string
	for _, a := range strings.Split(m[3], ",") {
		args = append(args, strings.TrimSpace(a))
	}
	var err error
	switch m[2] {
	case "choice":
		p.Kind, p.List = suggest.Categorical, args
	case "discrete":
		p.Kind, p.List = suggest.Discrete, args
	case "int", "logint":
		p.Kind = suggest.Int
		err = setRange(&p, args)
	case "uniform", "float", "log", "loguniform", "normal", "lognormal":
		err = setRange(&p, args)
	default:
		return p, fmt.Errorf("%s: there is no kind %q; there are uniform, log, normal, lognormal, int, logint, discrete and choice", p.Name, m[2])
	}
	switch m[2] {
	case "log", "loguniform", "logint":
		p.Distribution = suggest.LogUniform
	case "normal":
		p.Distribution = suggest.Normal
	case "lognormal":
		p.Distribution = suggest.LogNormal
	}
	if err == nil {
		err = CheckParameter(&p)
	}
	return p, err
}

// setRange reads MIN,MAX and perhaps STEP.
func setRange(p *Parameter, args []string) error {
	if len(args) != 2 && len(args) != 3 {
		return fmt.Errorf("%s is to have a smallest and a largest value, and perhaps a step, not %d words", p.Name, len(args))
	}
	for i, to := range []*float64{&p.Min, &p.Max, &p.Step}[:len(args)] {
		v, err := strconv.ParseFloat(args[i], 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", p.Name, args[i])
		}
		*to = v
	}
	return nil
}

// CheckParameter says what is wrong with a parameter, and brings a discrete one's
// values into their order.
func CheckParameter(p *Parameter) error {
	switch p.Kind {
	case suggest.Discrete:
		if err := sortNumbers(p); err != nil {
			return err
		}
		fallthrough
	case suggest.Categorical:
		return checkList(p)
	}
	for _, v := range []float64{p.Min, p.Max, p.Step} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: bounds are to be finite", p.Name)
		}
	}
	switch {
	case p.Min > p.Max:
		return fmt.Errorf("%s: the smallest value %g is larger than the largest %g", p.Name, p.Min, p.Max)
	case p.Log() && p.Min <= 0:
		return fmt.Errorf("%s: a logarithmic scale starts above 0, not at %g", p.Name, p.Min)
	case p.Step < 0:
		return fmt.Errorf("%s: a step is to be above 0, not %g", p.Name, p.Step)
	case p.Kind == suggest.Int && (p.Min != math.Round(p.Min) || p.Max != math.Round(p.Max) || p.Step != math.Round(p.Step)):
		return fmt.Errorf("%s: bounds and step of an int are to be whole numbers", p.Name)
	case p.Kind == suggest.Int && math.Max(math.Abs(p.Min), math.Abs(p.Max)) > 1<<53:
		return fmt.Errorf("%s: an int is to be within ±2^53", p.Name)
	}
	return nil
}

func sortNumbers(p *Parameter) error {
	values := map[string]float64{}
	for _, s := range p.List {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: %q is not a number; choice() and categorical take words", p.Name, s)
		}
		values[s] = v
	}
	p.List = slices.Clone(p.List)
	slices.SortStableFunc(p.List, func(a, b string) int {
		return cmp.Compare(values[a], values[b])
	})
	return nil
}

func checkList(p *Parameter) error {
	if len(p.List) == 0 || len(p.List) == 1 && p.List[0] == "" {
		return fmt.Errorf("%s: the list of values is empty", p.Name)
	}
	seen := map[string]bool{}
	for _, s := range p.List {
		if seen[s] {
			return fmt.Errorf("%s: %q is in the list twice", p.Name, s)
		}
		seen[s] = true
	}
	return nil
}

// FormatParameter is the short form of a parameter, as ParseParameter reads it.
func FormatParameter(p *Parameter) string {
	switch p.Kind {
	case suggest.Categorical:
		return fmt.Sprintf("%s=choice(%s)", p.Name, strings.Join(p.List, ","))
	case suggest.Discrete:
		return fmt.Sprintf("%s=discrete(%s)", p.Name, strings.Join(p.List, ","))
	}
	kind := map[suggest.Distribution]string{suggest.Uniform: "uniform", suggest.LogUniform: "log", suggest.Normal: "normal", suggest.LogNormal: "lognormal"}[p.Distribution]
	if p.Kind == suggest.Int {
		kind = "int"
		if p.Log() {
			kind = "logint"
		}
	}
	text := fmt.Sprintf("%s=%s(%s,%s", p.Name, kind, p.Format(p.Min), p.Format(p.Max))
	if p.Step > 0 {
		text += "," + strconv.FormatFloat(p.Step, 'g', -1, 64)
	}
	return text + ")"
}
