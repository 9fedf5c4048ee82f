package suggest

import (
	"cmp"
	"slices"
)

// divide tells a history's good trials, n of them, best first, from the bad ones, by
// number. Those that keep all constraints come first, by loss (of several objectives by
// paretoOrder), then the others by how far they are from keeping them. Failed trials
// are bad. So are running ones if pending says so: a trial that runs lies that it is
// bad, so that the next one goes elsewhere (the "constant liar").
func divide(history []Trial, n int, pending bool) (good, bad []int) {
	var keeping, violating []int
	for i := range history {
		switch t := &history[i]; {
		case t.Ended() && t.Violation <= 0:
			keeping = append(keeping, i)
		case t.Ended():
			violating = append(violating, i)
		case t.State != Running || pending:
			bad = append(bad, i)
		}
	}
	if len(keeping) > 0 && len(history[keeping[0]].Losses) > 1 {
		keeping = paretoOrder(history, keeping, n)
	} else {
		slices.SortFunc(keeping, func(a, b int) int {
			if x, y := history[a].Losses[0], history[b].Losses[0]; x != y {
				return cmp.Compare(x, y)
			}
			return a - b
		})
	}
	slices.SortStableFunc(violating, func(a, b int) int { return cmp.Compare(history[a].Violation, history[b].Violation) })
	all := append(keeping, violating...)
	n = min(n, len(all))
	good, bad = slices.Clone(all[:n]), append(bad, all[n:]...)
	slices.Sort(bad)
	return good, bad
}

// ended is how many trials have losses.
func ended(history []Trial) (n int) {
	for i := range history {
		if history[i].Ended() {
			n++
		}
	}
	return n
}
