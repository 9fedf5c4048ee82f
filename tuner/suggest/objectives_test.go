package suggest

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/e2e/need"
)

// objective is one function of shared/tuning/objectives.json: a space and the value
// at a point of it, lower is better. Noise is the standard deviation of the normal
// noise that a trial sees on top; the score is always without it.
type objective struct {
	name    string
	space   Space
	optimum float64
	noise   float64
	value   func(Point) float64
}

// formulas are those objectives that need no table.
func formulas() []objective {
	return []objective{
		{name: "branin", space: Space{Parameters: []Parameter{double("x0", -5, 10), double("x1", 0, 15)}}, optimum: 0.39788735772973816, value: branin},
		{name: "hartmann6", space: cube(6, 0, 1), optimum: -3.322368011415515, value: hartmann6},
		{name: "sphere10", space: cube(10, -5, 5), value: sphere},
		{name: "rosenbrock10", space: cube(10, -5, 5), value: rosenbrock},
		{name: "ackley5", space: cube(5, -32.768, 32.768), value: ackley5},
		{name: "levy8", space: cube(8, -10, 10), value: levy},
		{name: "noisy_levy4", space: cube(4, -10, 10), value: levy, noise: 1},
		mixedObjective(),
		catHeavyObjective(),
	}
}

// objectives are all of them but pbt_toy.
func objectives(t testing.TB) []objective {
	return append(formulas(),
		tableObjective(t, "table_mlp", 0.0456, []Parameter{
			discrete("lr", "0.0001 0.0003 0.001 0.003 0.01 0.03 0.1 0.3"), discrete("hidden", "8 24 64 128"),
			discrete("batch", "16 64 256"), choice("activation", "relu tanh logistic"), discrete("alpha", "1e-05 0.1")}),
		tableObjective(t, "table_gbdt", 0.021, []Parameter{
			discrete("lr", "0.01 0.02 0.04 0.08 0.16 0.32 0.64"), discrete("depth", "1 2 3 4"),
			discrete("subsample", "0.3 0.6 1.0"), discrete("max_features", "2 8 30"), discrete("min_leaf", "1 5 20")}))
}

func double(name string, low, high float64) Parameter {
	return Parameter{Name: name, Kind: Double, Min: low, Max: high}
}

func integer(name string, low, high float64) Parameter {
	return Parameter{Name: name, Kind: Int, Min: low, Max: high}
}

func logarithmic(p Parameter) Parameter {
	p.Distribution = LogUniform
	return p
}

func discrete(name, list string) Parameter {
	return Parameter{Name: name, Kind: Discrete, List: strings.Fields(list)}
}

func choice(name, list string) Parameter {
	return Parameter{Name: name, Kind: Categorical, List: strings.Fields(list)}
}

func cube(n int, low, high float64) Space {
	var s Space
	for i := range n {
		s.Parameters = append(s.Parameters, double("x"+strconv.Itoa(i), low, high))
	}
	return s
}

func branin(x Point) float64 {
	a := x[1] - 5.1/(4*math.Pi*math.Pi)*x[0]*x[0] + 5/math.Pi*x[0] - 6
	return a*a + 10*(1-1/(8*math.Pi))*math.Cos(x[0]) + 10
}

var (
	hartmannA = [4][6]float64{{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}}
	hartmannP = [4][6]float64{{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886}, {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
		{0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650}, {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}}
	hartmannC = [4]float64{1, 1.2, 3, 3.2}
)

func hartmann6(x Point) float64 {
	sum := 0.0
	for i, c := range hartmannC {
		e := 0.0
		for j, v := range x {
			e += hartmannA[i][j] * (v - hartmannP[i][j]) * (v - hartmannP[i][j])
		}
		sum -= c * math.Exp(-e)
	}
	return sum
}

func sphere(x Point) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func rosenbrock(x Point) float64 {
	sum := 0.0
	for i := range len(x) - 1 {
		a, b := x[i+1]-x[i]*x[i], 1-x[i]
		sum += 100*a*a + b*b
	}
	return sum
}

func ackley5(x Point) float64 {
	squares, cosines, n := 0.0, 0.0, float64(len(x))
	for i, shift := range []float64{7.3, -11.9, 3.1, 14.2, -5.7} {
		z := x[i] - shift
		squares += z * z
		cosines += math.Cos(2 * math.Pi * z)
	}
	return -20*math.Exp(-0.2*math.Sqrt(squares/n)) - math.Exp(cosines/n) + 20 + math.E
}

func levy(x Point) float64 {
	w := func(v float64) float64 { return 1 + (v-1)/4 }
	square := func(v float64) float64 { return v * v }
	last := w(x[len(x)-1])
	sum := square(math.Sin(math.Pi*w(x[0]))) + square(last-1)*(1+square(math.Sin(2*math.Pi*last)))
	for _, v := range x[:len(x)-1] {
		sum += square(w(v)-1) * (1 + 10*square(math.Sin(math.Pi*w(v)+1)))
	}
	return sum
}

func mixedObjective() objective {
	return objective{name: "mixed", space: Space{Parameters: []Parameter{
		logarithmic(double("lr", 1e-5, 1)), integer("depth", 1, 12), choice("kernel", "linear poly rbf sigmoid"),
		integer("degree", 2, 6), logarithmic(double("gamma", 1e-4, 10)), double("reg", 0, 1)}}, value: mixed}
}

func mixed(x Point) float64 {
	square := func(v float64) float64 { return v * v }
	u, depth, gamma := math.Log10(x[0]), x[1], math.Log10(x[4])
	f := []float64{0.6, 0.25, 0, 0.4}[int(x[2])]
	f += 0.3*square(u+4.2-0.1*(depth-6)) + 0.02*square(depth-9) + 0.8*square(x[5]-0.12)
	switch int(x[2]) {
	case 1:
		f += 0.08 * math.Abs(x[3]-3)
	case 2:
		f += math.Min(1.5, 0.25*square(gamma-0.3))
	case 3:
		f += math.Min(1.5, 0.25*square(gamma+2.5))
	}
	return f
}

func catHeavyObjective() objective {
	var s Space
	for i, n := range []int{3, 4, 5, 6, 8, 10} {
		p := Parameter{Name: string(rune('a' + i)), Kind: Categorical}
		for k := range n {
			p.List = append(p.List, p.Name+strconv.Itoa(k))
		}
		s.Parameters = append(s.Parameters, p)
	}
	s.Parameters = append(s.Parameters, double("x", 0, 1), double("y", 0, 1))
	return objective{name: "cat_heavy", space: s, value: catHeavy}
}

func catHeavy(x Point) float64 {
	f := 0.0
	for k, c := range [][3]int{{3, 1, 1}, {4, 3, 2}, {5, 2, 4}, {6, 5, 3}, {8, 3, 5}, {10, 7, 6}} {
		f += float64((c[1]*int(x[k])+c[2])%c[0]) / float64(c[0])
	}
	if int(x[0]+x[1])%2 != 0 {
		f += 0.6
	}
	if int(x[4]+x[5])%3 != 0 {
		f += 0.4
	}
	a, b := x[6]-(0.1+0.2*x[2]), x[7]-0.5
	return f + 2*a*a + b*b
}

// tableObjective is the loss at resource 81 of a table of learning curves.
func tableObjective(t testing.TB, name string, optimum float64, parameters []Parameter) objective {
	o := objective{name: name, space: Space{Parameters: parameters}, optimum: optimum}
	table := readCurves(t, name, len(parameters))
	o.value = func(x Point) float64 { return table[curveKey(&o.space, x)][80] }
	return o
}

// readCurves is the losses after 1, 2, … 81 units of resource, by curveKey.
func readCurves(t testing.TB, name string, parameters int) map[string][]float64 {
	table := map[string][]float64{}
	for _, row := range readCSV(t, name+".csv")[1:] {
		var key string
		for _, v := range row[:parameters] {
			key += number(v) + " "
		}
		for _, v := range row[parameters:] {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			table[key] = append(table[key], f)
		}
	}
	return table
}

func curveKey(s *Space, x Point) (key string) {
	for i := range s.Parameters {
		key += number(s.Parameters[i].Format(x[i])) + " "
	}
	return key
}

// number writes 1, 1.0 and 1e0 alike.
func number(v string) string {
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return v
}

// readCSV reads a file of shared/tuning.
func readCSV(t testing.TB, file string) [][]string {
	t.Helper()
	path := need.Shared(t, "tuning/"+file)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return rows
}

// Objectives are as in shared/tuning: the stated minimizer has the stated optimum.
func TestObjectivesOptimum(t *testing.T) {
	argmin := map[string]Point{
		"branin": {math.Pi, 2.275}, "hartmann6": {0.20168952, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730054},
		"sphere10": make(Point, 10), "rosenbrock10": {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "ackley5": {7.3, -11.9, 3.1, 14.2, -5.7},
		"levy8": {1, 1, 1, 1, 1, 1, 1, 1}, "noisy_levy4": {1, 1, 1, 1},
		"mixed":     {math.Pow(10, -3.9), 9, 2, 2, math.Pow(10, 0.3), 0.12},
		"cat_heavy": {2, 2, 3, 3, 1, 2, 0.7, 0.5},
	}
	for _, o := range objectives(t) {
		if x, ok := argmin[o.name]; ok {
			if got := o.value(x); math.Abs(got-o.optimum) > 1e-8 {
				t.Errorf("%s at its minimizer: %v, want %v", o.name, got, o.optimum)
			}
			continue
		}
		best := math.Inf(1)
		for _, curve := range readCurves(t, o.name, len(o.space.Parameters)) {
			best = math.Min(best, curve[80])
		}
		if best != o.optimum {
			t.Errorf("%s: lowest loss %v, want %v", o.name, best, o.optimum)
		}
	}
}
