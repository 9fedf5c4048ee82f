package dag

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner/queue"
)

// freezer is a store as a driver sees it that hangs: from some commit on, its calls
// don't come back until it is thawed.
type freezer struct {
	*memStore
	in     int           // commits until it freezes; the loop's own
	frozen chan struct{} // closed when it does
	thaw   chan struct{}
	once   sync.Once
}

func newFreezer(s *memStore, in int) *freezer {
	return &freezer{memStore: s, in: in, frozen: make(chan struct{}), thaw: make(chan struct{})}
}

func (f *freezer) hang() {
	if f.in <= 0 {
		f.once.Do(func() { close(f.frozen) })
		<-f.thaw
	}
}

func (f *freezer) Commit(ctx context.Context, b *Batch) error {
	f.in--
	f.hang()
	return f.memStore.Commit(ctx, b)
}

func (f *freezer) CancelRequested(ctx context.Context, run string) (bool, error) {
	f.hang()
	return f.memStore.CancelRequested(ctx, run)
}

func (f *freezer) Owns(ctx context.Context, run string, epoch int64) error {
	f.hang()
	return f.memStore.Owns(ctx, run, epoch)
}

func (f *freezer) UpdateAdmissions(ctx context.Context, backend string, decide func([]queue.Admission) queue.Change) error {
	if f.in <= 0 {
		f.hang()
		return errCrash // a driver that hung here was killed: nothing fences the queue
	}
	return f.memStore.UpdateAdmissions(ctx, backend, decide)
}

// TestTakenOver: a driver that hangs loses its run to the next; when it wakes up, it
// ends with an error, has stopped nothing, and nothing of what it still knew counts.
func TestTakenOver(t *testing.T) {
	for _, at := range []int{1, 2, 3, 4, 5, 6, 7} { // the commit at which it hangs
		play(t, func(s *stage) {
			s.create("r1", steps("a b<-a c<-b"))
			f := newFreezer(s.store, at)
			hung := s.driver("r1")
			hung.Store = f
			ended := make(chan error, 1)
			go func() {
				_, _, err := hung.Drive(s.t.Context(), "r1")
				ended <- err
			}()
			<-f.frozen
			time.Sleep(10 * time.Second)
			next := make(chan struct{})
			go func() {
				defer close(next)
				if run, got := s.drive("r1"); run.State != Succeeded {
					s.t.Errorf("frozen at commit %d: run %s:\n%s", at, run.State, states(got))
				}
			}()
			time.Sleep(1500 * time.Millisecond) // in the middle of a step
			close(f.thaw)
			if err := <-ended; !isTakenOver(err) {
				s.t.Errorf("frozen at commit %d: it ended with %v", at, err)
			}
			<-next
			for pod, n := range s.backend.starts {
				if n != 1 {
					s.t.Errorf("frozen at commit %d: pod %s was started %d times", at, pod, n)
				}
			}
			if len(s.backend.starts) != 3 {
				s.t.Errorf("frozen at commit %d: pods %v", at, s.backend.starts)
			}
			s.clean()
		})
	}
}

// TestIdleDriverNotices: one that only waits notices that it lost the run.
func TestIdleDriverNotices(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(time.Hour)
		s.create("r1", steps("a"))
		time.AfterFunc(time.Minute, func() { _, _ = s.store.Own(s.t.Context(), "r1") })
		start := time.Now()
		_, _, err := s.driveCtx(s.t.Context(), "r1")
		if !isTakenOver(err) || time.Since(start) > time.Minute+3*time.Second {
			s.t.Errorf("%v after %s", err, time.Since(start))
		}
		if len(s.backend.pods) != 1 {
			s.t.Error("it has removed what its successor is to adopt")
		}
		time.Sleep(time.Hour)
	})
}

// TestBeat: a driver beats every 2 s, also while it waits for an engine that is away
// to tell what is still there.
func TestBeat(t *testing.T) {
	play(t, func(s *stage) {
		s.lasts(40 * time.Second)
		s.patient = 30 * time.Second
		s.create("r1", steps("a"))
		ctx, hangup := context.WithCancelCause(s.t.Context())
		time.AfterFunc(time.Second, func() { hangup(ErrHangup) })
		_, _, _ = s.driveCtx(ctx, "r1")
		s.backend.away.Store("watch")
		time.AfterFunc(20*time.Second, func() { s.backend.away.Store("") })
		d := s.driver("r1")
		last, most, n := time.Now(), time.Duration(0), 0
		d.Beat = func() {
			most, last, n = max(most, time.Since(last)), time.Now(), n+1
		}
		if _, _, err := d.Drive(s.t.Context(), "r1"); err != nil {
			s.t.Fatal(err)
		}
		if n < 15 || most > 3*time.Second {
			s.t.Errorf("%d beats in 39 s, at most %s apart", n, most)
		}
	})
}
