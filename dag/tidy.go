package dag

import (
	"fmt"

	"github.com/wherry-ml/wherry/runner"
)

// tidy removes, once the tasks of a resumed run have ended, what a driver before this
// one has left of pods that it was about to remove when it died. It reports whether the
// run's end must wait for that.
func (d *drive) tidy() bool {
	tidier, ok := d.Backend.(runner.Tidier)
	if d.tidied || !ok || !d.resumed {
		return false
	}
	d.tidied = true
	var pods []string
	for _, x := range d.executions {
		for _, a := range x.Attempts {
			pods = append(pods, a.Pod)
		}
	}
	d.cleaning++
	d.spawn(func() func() {
		err := d.patiently(func() error { return tidier.Tidy(d.ops, pods) })
		return func() {
			d.cleaning--
			if err != nil && !d.unavailable(err) {
				d.note("%v", fmt.Errorf("remove what an earlier driver left: %w", err))
			}
		}
	})
	return true
}
