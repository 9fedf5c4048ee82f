package queue

import (
	"cmp"
	"slices"

	"github.com/wherry-ml/wherry/runner"
)

// Waiting is a request that has not been granted, and why.
type Waiting struct {
	Pod, Run string
	Why      string // "waits for 2 CPU: 4 of 4 in use by 3 pods"; "is next" where there is room
}

// Explain says why what waits does, for who only looks. It is pure; the admissions are
// in the order of arrival.
func Explain(rows []Admission, capacity runner.Capacity) []Waiting {
	r := &room{total: total(capacity), devices: slices.Clone(capacity.GPUs)}
	var line []*Admission
	for i := range rows {
		if rows[i].Granted {
			r.use(&rows[i])
		} else {
			line = append(line, &rows[i])
		}
	}
	slices.SortStableFunc(line, func(a, b *Admission) int { return cmp.Compare(b.Priority, a.Priority) })
	var out []Waiting
	for _, a := range line {
		want := a.amount()
		w := Waiting{Pod: a.Pod, Run: a.Run, Why: "is next"}
		if !r.fits(want) {
			w.Why = r.explain(want)
		}
		r.keep(want)
		out = append(out, w)
	}
	return out
}
