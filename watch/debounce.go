package watch

import (
	"context"
	"slices"
	"time"
)

// Set is a change set: what differs since the one before.
type Set struct {
	Paths       []string  // as the targets name them, sorted
	First, Last time.Time // when the first and the last change was seen
}

// merge adds what came after s before anybody took it.
func (s *Set) merge(o Set) {
	if len(s.Paths) == 0 {
		*s = o
		return
	}
	s.Paths = append(s.Paths, o.Paths...)
	slices.Sort(s.Paths)
	s.Paths = slices.Compact(s.Paths)
	s.Last = o.Last
}

// settler knows what the changes come to.
type settler interface {
	// resting says how long the changes must have rested, where that is longer than
	// their number says; 0: it is not.
	resting(changes map[place]bool) time.Duration
	// settle returns the paths that really differ, and knows them from then on.
	settle(changes map[place]bool) []string
}

// debounce collects changes into sets until ctx ends. A set that nobody takes grows.
func debounce(ctx context.Context, in <-chan []change, out chan<- Set, s settler) {
	var b batch
	var ready Set
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var to chan<- Set
		if len(ready.Paths) > 0 {
			to = out
		}
		select {
		case <-ctx.Done():
			return
		case list := <-in:
			b.add(list, time.Now())
			timer.Reset(time.Until(b.due()))
		case <-timer.C:
			if b.empty() {
				break
			}
			if at := earlier(b.last.Add(s.resting(b.changes)), b.bound()); time.Now().Before(at) {
				timer.Reset(min(time.Until(at), quietSome))
				break
			}
			ready.merge(Set{Paths: s.settle(b.changes), First: b.first, Last: b.last})
			b = batch{}
		case to <- ready:
			ready = Set{}
		}
	}
}
