package suggest

import "testing"

func TestAutoChooses(t *testing.T) {
	conditional := cube(2, 0, 1)
	conditional.Parameters = append(conditional.Parameters, choice("kind", "a b"), double("x", 0, 1))
	conditional.Parameters[3].When = &When{Parameter: 2, In: []float64{0}}
	plain, mixed, cat := cube(3, 0, 1), mixedObjective().space, catHeavyObjective().space
	table := Space{Parameters: []Parameter{discrete("lr", "0.1 0.2 0.3"), integer("depth", 1, 6), choice("kind", "a b")}}
	one := func(Point) []float64 { return []float64{1} }
	for name, c := range map[string]struct {
		space   *Space
		trials  int
		workers int
		losses  func(Point) []float64
		process bool
	}{
		"doubles":             {&plain, 20, 1, one, true},
		"mixed":               {&mixed, 20, 4, one, true},
		"categories, doubles": {&cat, 0, 1, one, true},
		"few values each":     {&table, 20, 1, one, false},
		"conditions":          {&conditional, 20, 1, one, false},
		"two objectives":      {&plain, 20, 1, func(Point) []float64 { return []float64{1, 2} }, false},
		"many trials":         {&plain, 600, 1, one, false},
		"many at once":        {&plain, 20, 64, one, false},
	} {
		q := Query{Space: c.space, History: drawnHistory(t, c.space, c.trials, 1, c.losses), Workers: c.workers}
		a, _ := New("auto", nil)
		if got := a.(*auto).suitsProcess(&q); got != c.process {
			t.Errorf("%s: a Gaussian process %v, want %v", name, got, c.process)
		}
	}
}

// auto has the settings of those that it chooses among, and says what is wrong with them.
func TestAutoSettings(t *testing.T) {
	if _, err := New("auto", []Setting{{"random_state", "7"}, {"n_startup_trials", "5"}}); err != nil {
		t.Error(err)
	}
	for _, bad := range []Setting{{"random_state", "x"}, {"n_startup_trials", "0"}, {"gamma", "0.1"}} {
		if _, err := New("auto", []Setting{bad}); err == nil {
			t.Errorf("setting %v is accepted", bad)
		}
	}
}
