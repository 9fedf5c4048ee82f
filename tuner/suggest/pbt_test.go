package suggest

import (
	"math"
	"slices"
	"testing"
)

// toy is pbt_toy of shared/tuning: two numbers that a step shrinks by 2 % of each
// parameter; the checkpoint is the numbers.
func toy(theta [2]float64, h Point, steps int) ([2]float64, float64) {
	for range steps {
		theta[0] -= 0.02 * h[0] * theta[0]
		theta[1] -= 0.02 * h[1] * theta[1]
	}
	return theta, theta[0]*theta[0] + theta[1]*theta[1] - 1.2
}

// playToy trains ten members for 200 steps, 4 of them a trial: the best score, and the
// first step at which it was 1.1 or more (201: never). The first generation's
// parameters are (1,0) and (0,1) in turn.
func playToy(t *testing.T, seed uint64, workers int) (float64, int) {
	a, err := New("pbt", []Setting{{"n_population", "10"}, {"truncation_threshold", "0.2"}, {"resample_probability", "0.25"},
		{"suggestion_trial_dir", "/var/log/katib/checkpoints/"}})
	if err != nil {
		t.Fatal(err)
	}
	s := cube(2, 0, 1)
	var history []Trial
	checkpoints := map[int][2]float64{}
	best, hit, ended := math.Inf(-1), 201, 0
	for len(history) < 500 {
		p, err := a.Next(Query{Space: &s, History: history, Seed: seed, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if p.Rung == 0 {
			p.Point = Point{float64(1 - p.Bracket%2), float64(p.Bracket % 2)}
		}
		history = append(history, Trial{Proposal: p, Number: len(history)})
		for len(history)-ended >= workers || len(history) == 500 && ended < 500 {
			tr := &history[ended]
			theta := [2]float64{0.9, 0.9}
			if tr.Parent != None {
				if tr.Parent >= ended {
					t.Fatalf("trial %d goes on from trial %d, which has not ended", tr.Number, tr.Parent)
				}
				theta = checkpoints[tr.Parent]
			}
			theta, loss := toy(theta, tr.Point, 4)
			checkpoints[ended] = theta
			tr.State, tr.Losses = Succeeded, []float64{loss}
			best = math.Max(best, -loss)
			if -loss >= 1.1 {
				hit = min(hit, 4*(tr.Rung+1))
			}
			ended++
		}
	}
	return best, hit
}

// Against references_pbt.csv, "full".
func TestPBTToy(t *testing.T) {
	rows := readCSV(t, "references_pbt.csv")
	theirs, sd, steps := toNumber(t, rows[1][2]), toNumber(t, rows[1][3]), toNumber(t, rows[1][4])
	for _, workers := range []int{1, 4} {
		var scores, hits []float64
		for seed := range uint64(50) {
			score, hit := playToy(t, seed, workers)
			scores, hits = append(scores, score), append(hits, float64(hit))
		}
		t.Logf("%d workers: mean best score %.4f, median steps to 1.1: %.1f (theirs %.4f, %.1f)", workers, mean(scores), median(hits), theirs, steps)
		least := theirs - sd/math.Sqrt(50)
		if workers > 1 {
			least = theirs - 0.005 // judged among fewer
		}
		if mean(scores) < least {
			t.Errorf("%d workers: mean best score %.4f, want %.4f", workers, mean(scores), least)
		}
		if m := median(slices.Clone(hits)); m > steps+4 {
			t.Errorf("%d workers: median steps to 1.1 %.1f, want %.1f", workers, m, steps)
		}
	}
}

func toNumber(t *testing.T, s string) float64 {
	t.Helper()
	p := Parameter{Min: math.Inf(-1), Max: math.Inf(1)}
	v, err := p.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A bad member takes over the better one's checkpoint, not the other way round, and a
// good one goes on from its own with the same parameters.
func TestPBTParentIsTheBetter(t *testing.T) {
	a, _ := New("pbt", []Setting{{"n_population", "5"}, {"truncation_threshold", "0.2"}})
	s := cube(1, 1, 100)
	var history []Trial
	for i := range 5 {
		history = append(history, Trial{Number: i, State: Succeeded, Losses: []float64{float64(i)},
			Proposal: Proposal{Point: Point{float64(10 * (i + 1))}, Bracket: i, Parent: None}})
	}
	want := []int{0, 1, 2, 3, 0} // the parents of generation 1
	for m, parent := range want {
		p, err := a.Next(Query{Space: &s, History: history, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		if p.Bracket != m || p.Rung != 1 || p.Parent != parent {
			t.Errorf("member %d: proposed as member %d of generation %d with parent %d, want parent %d", m, p.Bracket, p.Rung, p.Parent, parent)
		}
		if m < 4 && p.Point[0] != history[m].Point[0] {
			t.Errorf("member %d did well and goes on with %v, want its own %v", m, p.Point, history[m].Point)
		}
		if m == 4 && p.Point[0] != 8 && p.Point[0] != 12 {
			t.Errorf("the worst member goes on with %v, want the best one's 10 times 0.8 or 1.2", p.Point)
		}
		history = append(history, Trial{Proposal: p, Number: len(history)})
	}
	if _, err := a.Next(Query{Space: &s, History: history, Workers: 9}); err != ErrWait {
		t.Errorf("with every member running: %v, want ErrWait", err)
	}
}
