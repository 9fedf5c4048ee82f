package suggest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"
)

// stateful are the algorithms whose next proposal hangs on where in a generation, rung
// or bracket the history ends.
var stateful = []struct {
	name     string
	settings []Setting
}{
	{"cmaes", nil},
	{"cmaes", []Setting{{"restart_strategy", "ipop"}, {"sigma", "0.3"}, {"random_state", "7"}}},
	{"cmaes", []Setting{{"restart_strategy", "bipop"}, {"popsize", "4"}}},
	{"hyperband", []Setting{{"resource_name", "epochs"}, {"r_l", "9"}}},
	{"asha", []Setting{{"resource_name", "epochs"}, {"max_resource", "27"}}},
	{"asha", []Setting{{"max_resource", "27"}, {"reduction_factor", "2"}}},
	{"pbt", []Setting{{"n_population", "5"}, {"truncation_threshold", "0.4"}, {"resample_probability", "0.3"}}},
}

// hardSpace has a parameter of each kind, one on condition, and a constraint.
func hardSpace() *Space {
	s := &Space{Parameters: []Parameter{
		logarithmic(double("lr", 1e-5, 1)), integer("depth", 1, 12), choice("kernel", "linear poly rbf"),
		{Name: "degree", Kind: Int, Min: 2, Max: 6, When: &When{Parameter: 2, In: []float64{1}}},
		{Name: "momentum", Kind: Double, Min: 0.1, Max: 0.95, Step: 0.1}, discrete("batch", "16 32 64"),
		{Name: "wide", Kind: Int, Min: 1, Max: 1000, Distribution: LogUniform}, {Name: "decay", Kind: Double, Min: 1, Max: 3, Distribution: Normal},
		integer("epochs", 1, 27), {Name: "one", Kind: Double, Min: 2, Max: 2}}}
	s.Feasible = func(x Point) bool { return x[1]+x[5] < 13 }
	return s
}

// inside says what is wrong with a proposal's point.
func inside(s *Space, x Point) error {
	if len(x) != len(s.Parameters) {
		return fmt.Errorf("%d coordinates", len(x))
	}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		switch v := x[i]; {
		case math.IsNaN(v) == s.Active(x, i):
			return fmt.Errorf("%s is %v, active: %v", p.Name, v, s.Active(x, i))
		case math.IsNaN(v):
		case p.Round(v) != v:
			return fmt.Errorf("%s is %v, the nearest value is %v", p.Name, v, p.Round(v))
		}
	}
	if !s.May(x) {
		return errors.New("not feasible")
	}
	return nil
}

// losses of trials, by name; nil fails the trial.
var losses = map[string]func(Point, *rand.Rand) []float64{
	"smooth":   func(x Point, _ *rand.Rand) []float64 { return []float64{math.Abs(math.Log(x[0])+4) + math.Abs(x[1]-5)} },
	"constant": func(Point, *rand.Rand) []float64 { return []float64{3} },
	"+Inf":     func(Point, *rand.Rand) []float64 { return []float64{math.Inf(1)} },
	"-Inf":     func(Point, *rand.Rand) []float64 { return []float64{math.Inf(-1)} },
	"failed":   func(Point, *rand.Rand) []float64 { return nil },
	"chance": func(_ Point, r *rand.Rand) []float64 {
		return [][]float64{nil, {math.Inf(1)}, {math.Inf(-1)}, {r.NormFloat64()}, {1e300}, {-1e300}}[r.IntN(6)]
	},
}

// Every proposal lies in the space, and is the same whether the algorithm has seen the
// trials one by one or is made anew, as after a crash, with the same history: also
// while trials run and end out of order, and whatever they come to.
func TestStatefulReplay(t *testing.T) {
	const workers, trials = 3, 40
	for _, a := range stateful {
		for name, loss := range losses {
			t.Run(fmt.Sprint(a.name, a.settings, name), func(t *testing.T) {
				s, chance := hardSpace(), rand.New(rand.NewPCG(1, 2))
				old, err := New(a.name, a.settings)
				if err != nil {
					t.Fatal(err)
				}
				var history []Trial
				var running []int
				for len(history) < trials {
					q := Query{Space: s, History: history, Seed: 5, Budget: trials, Workers: workers}
					p, err := old.Next(q)
					fresh, _ := New(a.name, a.settings)
					q.Space = hardSpace()
					again, errAgain := fresh.Next(q)
					if fmt.Sprint(err) != fmt.Sprint(errAgain) || fmt.Sprint(p) != fmt.Sprint(again) {
						t.Fatalf("trial %d: %v %v, after a crash %v %v", len(history), p, err, again, errAgain)
					}
					if err == nil {
						if e := inside(s, p.Point); e != nil {
							t.Fatalf("trial %d: %v: %v", len(history), p.Point, e)
						}
						if p.Parent != None && (p.Parent < 0 || history[p.Parent].State == Running) {
							t.Fatalf("trial %d goes on from trial %d", len(history), p.Parent)
						}
						running = append(running, len(history))
						history = append(history, Trial{Proposal: p, Number: len(history)})
					} else if !errors.Is(err, ErrWait) || len(running) == 0 {
						t.Fatalf("trial %d: %v", len(history), err)
					}
					if err != nil || len(running) >= workers {
						at := chance.IntN(len(running))
						tr := &history[running[at]]
						if tr.Losses = loss(tr.Point, chance); tr.Losses == nil {
							tr.State = Failed
						} else if tr.State = Succeeded; chance.IntN(10) == 0 {
							tr.State = Stopped
						}
						running = append(running[:at], running[at+1:]...)
					}
				}
			})
		}
	}
}

// A memo is not to be believed after a trial's outcome has changed.
func TestCMAESMemoSeesChange(t *testing.T) {
	s := cube(3, 0, 1)
	a, _ := New("cmaes", nil)
	var history []Trial
	for i := range 40 {
		p, err := a.Next(Query{Space: &s, History: history, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, Trial{Proposal: p, Number: i, State: Succeeded, Losses: []float64{sphere(p.Point)}})
	}
	history[3].State, history[3].Losses = Failed, nil
	q := Query{Space: &s, History: history, Seed: 1}
	fresh, _ := New("cmaes", nil)
	p, _ := a.Next(q)
	want, _ := fresh.Next(q)
	if !reflect.DeepEqual(p, want) {
		t.Errorf("proposed %v, a fresh one proposes %v", p, want)
	}
}

// A run that has converged is followed by one elsewhere, with twice the population (ipop)
// or now and then a small one (bipop); with none it goes on where it is.
func TestCMAESRestarts(t *testing.T) {
	s := cube(2, 0, 1)
	runs := func(strategy string) (populations []int) {
		a := &cmaes{sigma: 0.1, strategy: strategy}
		var history []Trial
		for i := range 3000 {
			// Points by hand keep the test quick: what matters is that the run ends.
			x := Point{0.5 + 0.01*math.Sin(float64(i)), 0.5}
			history = append(history, Trial{Proposal: Proposal{Point: x, Parent: None}, Number: i, State: Succeeded, Losses: []float64{1}})
			if i%6 == 0 {
				r := a.memo.replay(a, newCMACoding(&s), &Query{Space: &s, History: history, Seed: 1})
				if n := len(populations); n == 0 || r.restarts >= n {
					populations = append(populations, r.s.lambda)
				}
			}
		}
		return populations
	}
	if got := runs("none"); len(got) != 1 {
		t.Errorf("none: populations %v, want one run", got)
	}
	got := runs("ipop")
	for i := 1; i < len(got); i++ {
		if got[i] != 2*got[i-1] {
			t.Errorf("ipop: populations %v, want each twice the one before", got)
		}
	}
	if len(got) < 3 {
		t.Errorf("ipop: populations %v, want three or more", got)
	}
	if got = runs("bipop"); len(got) < 4 || slices.Max(got) < 4*got[0] || !slices.ContainsFunc(got[2:], func(n int) bool { return n < 2*got[0] }) {
		t.Errorf("bipop: populations %v, want large and small ones", got)
	}
}

// A generation waits for a trial that runs, but not for good.
func TestCMAESGivesUpOnAStraggler(t *testing.T) {
	history := make([]Trial, 60)
	for i := range history {
		history[i].State = Succeeded
	}
	history[10].State = Running
	if done := cmaDone(history[:30]); done != 10 {
		t.Errorf("with 19 trials after it, %d trials count, want 10", done)
	}
	if done := cmaDone(history); done != 60 {
		t.Errorf("with 49 trials after it, %d trials count, want all 60", done)
	}
}

// Steps that are wide against the deviation hold no axis fast: with one of two values
// and three of ten each, the distribution still leaves the cell that it is in.
func TestCMAESMargin(t *testing.T) {
	s := &Space{Parameters: []Parameter{discrete("a", "1 2"), integer("b", 1, 10), integer("c", 1, 10), integer("d", 1, 10)}}
	c := newCMACoding(s)
	d := newCMADistribution(4, 8, []float64{0.9, 0.55, 0.01, 0.99}, 1e-6)
	d.keepMargin(c)
	alpha := 1 / float64(4*8)
	for i := range c.axes {
		low, high := c.axes[i].edges(c.axes[i].value(d.mean[i]))
		out := phi((low-d.mean[i])/d.deviation(i)) + 1 - phi((high-d.mean[i])/d.deviation(i))
		if out < alpha*0.999 {
			t.Errorf("%s leaves its cell with probability %g, want at least %g", s.Parameters[i].Name, out, alpha)
		}
	}
}

// BenchmarkCMAES is one suggestion with 1,000 observations of 20 parameters: asked in
// sequence, and cold.
func BenchmarkCMAES(b *testing.B) {
	s := cube(20, -5, 5)
	warm, _ := New("cmaes", nil)
	var history []Trial
	add := func(a Algorithm) {
		p, err := a.Next(Query{Space: &s, History: history, Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		history = append(history, Trial{Proposal: p, Number: len(history), State: Succeeded, Losses: []float64{rosenbrock(p.Point)}})
	}
	for range 1000 {
		add(warm)
	}
	b.Run("sequence", func(b *testing.B) {
		before := cpu()
		for b.Loop() {
			add(warm)
		}
		b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	})
	history = history[:1000]
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			a, _ := New("cmaes", nil)
			if _, err := a.Next(Query{Space: &s, History: history, Seed: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// cpu is the processor time that this process has used: on shared cores it says more
// than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
