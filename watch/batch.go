package watch

import "time"

// How long nothing may happen before a change set is complete.
const (
	quietSave  = 20 * time.Millisecond  // after a save of a file or two
	quietGap   = 100 * time.Millisecond // where a file is gone or empty: it may be on its way
	quietSome  = 50 * time.Millisecond
	quietStorm = 200 * time.Millisecond
	quietMost  = 500 * time.Millisecond
	// upperBound is how long changes that never rest are collected.
	upperBound = 10 * time.Second
)

// batch is what has changed since the last change set. The zero value is empty.
type batch struct {
	first, last time.Time
	gap         time.Duration // the longest between two changes
	changes     map[place]bool
}

// place is a file or folder of a root.
type place struct {
	root *root
	path string // as the target names it
}

// change is what an event says: look here.
type change struct {
	place
	written bool // in place: it differs even where its stamp does not
}

func (b *batch) empty() bool { return len(b.changes) == 0 }

// add takes what was seen at a moment; moments never go back.
func (b *batch) add(list []change, at time.Time) {
	if len(list) == 0 {
		return
	}
	if b.empty() {
		*b = batch{first: at, changes: map[place]bool{}}
	} else {
		b.gap = max(b.gap, at.Sub(b.last))
	}
	b.last = at
	for _, c := range list {
		b.changes[c.place] = b.changes[c.place] || c.written
	}
}

// quiet is how long nothing may happen before the batch is complete. A storm is known
// by how much it has changed already, and by how it pauses.
func (b *batch) quiet() time.Duration {
	q := quietSave
	switch n := len(b.changes); {
	case n > 20:
		q = quietStorm
	case n > 3:
		q = quietSome
	}
	return min(max(q, 3*b.gap), quietMost)
}

// due is when the batch is complete, unless more comes.
func (b *batch) due() time.Time { return earlier(b.last.Add(b.quiet()), b.bound()) }

// bound is when the batch ends, whatever comes.
func (b *batch) bound() time.Time { return b.first.Add(upperBound) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
