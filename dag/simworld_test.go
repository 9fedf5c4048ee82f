package dag

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/wherry-ml/wherry/runner"
)

// simBackend is the simulation's engine: the fake one, with lists that its pods put out
// and volumes that can be removed.
type simBackend struct {
	*fakeBackend
	dir string
}

func (b *simBackend) Collect(ctx context.Context, pod runner.Pod, to runner.Sink) (runner.Exit, error) {
	exit, err := b.fakeBackend.Collect(ctx, pod, to)
	if err != nil || !exit.OK() {
		return exit, err
	}
	for _, o := range pod.Outputs {
		if !strings.HasSuffix(o.Name, ":items") {
			continue
		}
		list := "[]"
		for i := range roll(pod.Labels[runner.LabelExecution]) % 6 {
			list = strings.Replace(strings.TrimSuffix(list, "]")+fmt.Sprintf(", %d]", i), "[, ", "[", 1)
		}
		path := filepath.Join(b.dir, pod.Name)
		if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
			return exit, err
		}
		if err := to.Output(o.Name, path); err != nil {
			return exit, err
		}
	}
	return exit, nil
}

// RemoveVolume may find the engine away.
func (b *simBackend) RemoveVolume(context.Context, string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isAway()
}

// Tidy finds that none of the pods is there.
func (b *simBackend) Tidy(_ context.Context, pods []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, pod := range pods {
		if b.pods[pod] != nil {
			return fmt.Errorf("pod %s is tidied while it is there", pod)
		}
	}
	return b.isAway()
}

// roll is a number that depends on the parts and nothing else.
func roll(parts ...any) int {
	h := fnv.New32a()
	fmt.Fprint(h, parts...)
	return int(h.Sum32() & 0xffff)
}

// simArtifacts fetches what is named well; some of it can't be had, and for some there
// is no room at first.
type simArtifacts struct {
	noArtifacts
	seed uint64
	mu   sync.Mutex
	full int // how often there was no room
}

func (a *simArtifacts) Path(digest string) (string, error) {
	if roll(a.seed, digest)%2 == 0 {
		return "", fs.ErrNotExist
	}
	return "/store/" + digest, nil
}

func (a *simArtifacts) Check(_ context.Context, digest string) error {
	_, err := a.Path(digest)
	return err
}

func (a *simArtifacts) Fetch(_ context.Context, uri string, _ func(done, total int64)) (string, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case strings.HasSuffix(uri, "broken"):
		return "", 0, errors.New("404")
	case strings.HasSuffix(uri, "full") && a.full < 1:
		a.full++
		return "", 0, fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	return "sha256:" + uri, 1, nil
}
