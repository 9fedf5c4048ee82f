package metrics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// follower follows "m.log" in a folder, with a Text of the metric loss.
type follower struct {
	t     *testing.T
	dir   string
	ended chan struct{}
	done  chan error

	mu  sync.Mutex
	got []float64
}

func newFollower(t *testing.T) *follower {
	f := &follower{t: t, dir: t.TempDir(), ended: make(chan struct{}), done: make(chan error, 1)}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	p := newText(t, f.collector(), TextOptions{})
	go func() {
		f.done <- Follow(t.Context(), root, "m.log", p, FollowOptions{Ended: f.ended, Interval: time.Millisecond})
	}()
	return f
}

func (f *follower) collector() *Collector {
	return NewCollector([]string{"loss"}, func(batch []Observation) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, o := range batch {
			f.got = append(f.got, o.Value)
		}
	})
}

func (f *follower) write(name, text string, flags int) {
	f.t.Helper()
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_WRONLY|os.O_CREATE|flags, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		f.t.Fatal(err)
	}
}

// wait waits until so many values have come.
func (f *follower) wait(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		f.mu.Lock()
		len := len(f.got)
		f.mu.Unlock()
		if len >= n {
			return
		}
	}
	f.t.Fatalf("%v after 20 s, want %d values", f.got, n)
}

// end ends the trial and compares what came in all.
func (f *follower) end(want ...float64) {
	f.t.Helper()
	close(f.ended)
	if err := <-f.done; err != nil {
		f.t.Error(err)
	}
	if diff := cmp.Diff(want, f.got); diff != "" {
		f.t.Error(diff)
	}
}

func TestFollowAFileAsItGrows(t *testing.T) {
	f := newFollower(t)
	time.Sleep(5 * time.Millisecond) // it comes late
	f.write("m.log", "loss=1\nloss=2\nlo", os.O_APPEND)
	f.wait(2)
	f.write("m.log", "ss=3\nloss=4", os.O_APPEND)
	f.wait(3)
	f.end(1, 2, 3, 4)
}

func TestFollowSeesWhatWasWrittenLast(t *testing.T) {
	f := newFollower(t)
	f.write("m.log", strings.Repeat("loss=1\n", 100_000), 0) // more than a chunk
	close(f.ended)
	if err := <-f.done; err != nil || len(f.got) != 100_000 {
		t.Errorf("%d values, %v", len(f.got), err)
	}
}

func TestFollowAFileThatIsCut(t *testing.T) {
	f := newFollower(t)
	f.write("m.log", "loss=1\nloss=2\nloss=", os.O_APPEND)
	f.wait(2)
	f.write("m.log", "loss=3\n", os.O_TRUNC)
	f.wait(3)
	f.end(1, 2, 3)
}

func TestFollowAFileThatIsRotated(t *testing.T) {
	f := newFollower(t)
	f.write("m.log", "loss=1\n", 0)
	f.wait(1)
	old, err := os.OpenFile(filepath.Join(f.dir, "m.log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := os.Rename(filepath.Join(f.dir, "m.log"), filepath.Join(f.dir, "m.log.1")); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(old, "loss=2\nloss=3")
	f.wait(2)
	f.write("new", "0 epochs\nloss=4\nloss=5\n", 0) // not loss=30
	if err := os.Rename(filepath.Join(f.dir, "new"), filepath.Join(f.dir, "m.log")); err != nil {
		t.Fatal(err)
	}
	f.wait(5)
	f.end(1, 2, 3, 4, 5)
}

func TestFollowWhatIsNoFile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("loss=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a folder":                 {func(p string) error { return os.Mkdir(p, 0o700) }, "m.log is no file but a folder"},
		"a pipe that nobody fills": {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "m.log is no file but a named pipe"},
		"a link that leads out":    {func(p string) error { return os.Symlink(outside, p) }, "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollower(t)
			if err := test.make(filepath.Join(f.dir, "m.log")); err != nil {
				t.Fatal(err)
			}
			close(f.ended)
			if err := <-f.done; err == nil || !strings.Contains(err.Error(), test.want) || len(f.got) > 0 {
				t.Errorf("got %v and %v, want %q", err, f.got, test.want)
			}
		})
	}
	f := newFollower(t)
	f.end() // a file that never came is no error here: its metric is missing
}

func TestFollowEndsWithItsContext(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	err = Follow(ctx, root, "m.log", newText(t, collect("loss").Collector, TextOptions{}), FollowOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFollowTree(t *testing.T) {
	f := &follower{t: t, dir: t.TempDir(), ended: make(chan struct{}), done: make(chan error, 1)}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c := f.collector()
	var made []string
	parser := func(file string) Parser {
		made = append(made, file)
		return NewEvents(c, EventsOptions{Dir: filepath.Dir("/logs/" + file), Source: file})
	}
	go func() {
		f.done <- FollowTree(t.Context(), root, "logs", parser, FollowOptions{Ended: f.ended, Interval: time.Millisecond})
	}()
	for _, dir := range []string{"logs/test/deep", "logs/train"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f.write("logs/checkpoint", "not an event file", 0)
	first := summary(1, "loss", 1.0)
	f.write("logs/test/deep/events.out.tfevents.1", string(first[:20]), os.O_APPEND)
	f.write("logs/test/deep/events.out.tfevents.1", string(first[20:]), os.O_APPEND)
	f.wait(1)
	f.write("logs/train/events.out.tfevents.2", string(summary(1, "loss", 2.0)), os.O_APPEND)
	f.wait(2)
	f.write("logs/test/deep/events.out.tfevents.1", string(summary(2, "loss", 3.0)), os.O_APPEND)
	f.end(1, 2, 3)
	if diff := cmp.Diff([]string{"test/deep/events.out.tfevents.1", "train/events.out.tfevents.2"}, made); diff != "" {
		t.Error(diff)
	}
}

func TestFollowTreeReadsNotMoreThanItSays(t *testing.T) {
	dir := t.TempDir()
	for i := range maxFiles + 1 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("tfevents.%d", i)), summary(1, "loss", 1.0), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	g := collect("loss")
	ended := make(chan struct{})
	close(ended)
	err = FollowTree(t.Context(), root, ".", func(file string) Parser { return NewEvents(g.Collector, EventsOptions{Source: file}) }, FollowOptions{Ended: ended})
	if err == nil || err.Error() != ". has more than 256 event files: the others are not read" || len(g.all) != maxFiles {
		t.Errorf("%d values, %v", len(g.all), err)
	}
}
