package screen

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/wherry-ml/wherry/runner"
)

// Logs is a runner.Backend's.
type Logs func(ctx context.Context, pod string, o runner.LogOptions) iter.Seq2[runner.Line, error]

// tails follows the logs of the few pods whose last lines are shown.
type tails struct {
	logs    Logs
	changed func(pod string, lines []string)

	mu      sync.Mutex
	wg      sync.WaitGroup
	follows map[string]context.CancelFunc // by pod
}

// linesPerSecond is how much is read of one log. A step that writes more is looked
// at from time to time: nobody can read it, and it should not cost the run a core.
const linesPerSecond = 500

// show follows these pods and no others.
func (t *tails) show(ctx context.Context, pods []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for pod, stop := range t.follows {
		if !slices.Contains(pods, pod) {
			stop()
			delete(t.follows, pod)
		}
	}
	for _, pod := range pods {
		if t.follows[pod] != nil || t.logs == nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		t.follows[pod] = stop
		t.wg.Go(func() { t.follow(ctx, pod) })
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// close returns when nothing is followed any more.
func (t *tails) close() {
	t.show(context.Background(), nil)
	t.wg.Wait()
}

// follow reads one pod's log to its end, or until ctx ends.
func (t *tails) follow(ctx context.Context, pod string) {
	pause := time.Second
	for ctx.Err() == nil {
		if !t.read(ctx, pod) {
			pause = time.Second
		} else {
			pause = min(2*pause, 30*time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// read takes lines until they become too many, and reports whether they did.
func (t *tails) read(ctx context.Context, pod string) bool {
	var last []string
	since, n := time.Now(), 0
	for l, err := range t.logs(ctx, pod, runner.LogOptions{Tail: maxTail, Follow: true}) {
		if err != nil || ctx.Err() != nil {
			return false // it has ended, or is not there yet: the tree has the rest to say
		}
		if text := clean(string(l.Text[:min(len(l.Text), 4096)])); strings.ContainsFunc(text, isWord) { // not the braces of some JSON
			last = append(last[max(0, len(last)-maxTail+1):len(last):len(last)], text)
			t.changed(pod, last)
		}
		if n++; time.Since(since) > time.Second {
			since, n = time.Now(), 0
		}
		if n > linesPerSecond {
			return true
		}
	}
	return false
}
