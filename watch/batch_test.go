package watch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// everything is a settler for which every change is one.
type everything struct{ rest time.Duration }

func (e everything) resting(map[place]bool) time.Duration { return e.rest }

func (e everything) settle(changes map[place]bool) []string {
	var paths []string
	for p := range changes {
		paths = append(paths, p.path)
	}
	slices.Sort(paths)
	return paths
}

// told is a change set and when it was sent, since the start.
type told struct {
	Set
	at time.Duration
}

// feed sends changes at these moments after the start, and returns the sets they made.
func feed(s settler, moments []time.Duration, path func(i int) string) (sets []told) {
	ctx, stop := context.WithCancel(context.Background())
	in, out := make(chan []change), make(chan Set)
	start := time.Now()
	done := make(chan struct{})
	go func() { debounce(ctx, in, out, s); close(done) }()
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for {
			select {
			case set := <-out:
				sets = append(sets, told{set, time.Since(start)})
			case <-ctx.Done():
				return
			}
		}
	}()
	for i, at := range moments {
		time.Sleep(at - time.Since(start))
		in <- []change{{place: place{path: path(i)}}}
	}
	time.Sleep(2 * upperBound)
	stop()
	<-done
	<-taken
	return sets
}

func TestSingleSaveIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sets := feed(everything{}, []time.Duration{time.Second}, func(int) string { return "/a" })
		if len(sets) != 1 || sets[0].at != time.Second+quietSave {
			t.Errorf("got %+v, want one set %s after the save", sets, quietSave)
		}
	})
}

// A checkout of 5,000 files with pauses is one set, and ends soon after it.
func TestCheckoutIsOneSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moments []time.Duration
		at := time.Duration(0)
		for i := range 5000 {
			at += 100 * time.Microsecond
			if i%1000 == 999 {
				at += 150 * time.Millisecond // the disk is busy
			}
			moments = append(moments, at)
		}
		sets := feed(everything{}, moments, func(i int) string { return fmt.Sprintf("/f%04d", i) })
		if len(sets) != 1 || len(sets[0].Paths) != 5000 {
			t.Fatalf("got %d sets, want one", len(sets))
		}
		if late := sets[0].at - at; late > quietMost {
			t.Errorf("it was told %s after the last change, want at most %s", late, quietMost)
		}
	})
}

func TestNeverAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moments []time.Duration
		for i := range 3000 {
			moments = append(moments, time.Duration(i)*10*time.Millisecond)
		}
		sets := feed(everything{}, moments, func(int) string { return "/log" })
		if len(sets) != 3 || sets[0].at != upperBound {
			t.Errorf("got %d sets, the first at %s; want 3, the first at %s", len(sets), sets[0].at, upperBound)
		}
	})
}

func TestRestingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sets := feed(everything{rest: quietGap}, []time.Duration{0}, func(int) string { return "/a" })
		if len(sets) != 1 || sets[0].at != quietGap {
			t.Errorf("got %+v, want one set after %s", sets, quietGap)
		}
	})
}

func TestUntakenSetsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan []change), make(chan Set)
		ctx, stop := context.WithCancel(t.Context())
		go debounce(ctx, in, out, everything{})
		for _, path := range []string{"/b", "/a", "/b"} {
			in <- []change{{place: place{path: path}}}
			time.Sleep(time.Second)
		}
		if set := <-out; !slices.Equal(set.Paths, []string{"/a", "/b"}) || set.Last.Sub(set.First) != 2*time.Second {
			t.Errorf("got %+v, want /a and /b of all three saves", set)
		}
		stop()
		synctest.Wait()
	})
}

// Whatever happens and when: each change is in one set only, in the order of time,
// told no earlier than it may and no later than it must be.
func TestDebounceProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		gaps := rapid.SliceOfN(rapid.IntRange(0, 700), 1, 60).Draw(r, "ms between changes")
		synctest.Test(t, func(t *testing.T) {
			var moments []time.Duration
			at := time.Duration(0)
			for _, g := range gaps {
				at += time.Duration(g)*time.Millisecond + time.Microsecond
				moments = append(moments, at)
			}
			start := time.Now()
			sets := feed(everything{}, moments, func(i int) string { return fmt.Sprintf("%03d", i) })
			next := 0
			for _, s := range sets {
				first, last := moments[next], moments[next+len(s.Paths)-1]
				for _, path := range s.Paths {
					if want := fmt.Sprintf("%03d", next); path != want {
						t.Fatalf("got change %s, want %s", path, want)
					}
					next++
				}
				if s.First.Sub(start) != first || s.Last.Sub(start) != last {
					t.Errorf("set says %s to %s, want %s to %s", s.First.Sub(start), s.Last.Sub(start), first, last)
				}
				if s.at < last || s.at > last+quietMost || s.at > first+upperBound || s.at < min(last+quietSave, first+upperBound) {
					t.Errorf("changes from %s to %s were told at %s", first, last, s.at)
				}
				if next < len(moments) && moments[next] < min(last+quietSave, first+upperBound) {
					t.Errorf("a change at %s is not in the set of %s to %s", moments[next], first, last)
				}
			}
			if next != len(moments) {
				t.Errorf("%d of %d changes were told", next, len(moments))
			}
		})
	})
}
