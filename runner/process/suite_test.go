package process

import (
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/runnertest"
)

// TestMain lets the test binary be what the tests start: a supervisor, a caller
// that is killed, the suite's child.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "supervise" {
		os.Exit(Supervise(os.Args[2]))
	}
	if len(os.Args) == 3 && os.Args[1] == "start-and-die" {
		startAndDie(os.Args[2])
	}
	runnertest.Main(m, func(dir string) (runner.Backend, error) { return openAt(dir) })
}

// TestBackend runs the suite that every backend must pass.
func TestBackend(t *testing.T) {
	runnertest.Run(t, func(t *testing.T) *runnertest.Subject {
		b := newBackend(t)
		dir := b.cfg.Dir
		return &runnertest.Subject{
			Home: homeOf(dir), Dir: dir, Store: runnertest.Store(filepath.Join(dir, "artifacts")),
			Image: "any", Backend: b,
			Open: func() (runner.Backend, error) { return openAt(dir) },
		}
	})
}

// openAt opens a backend over dir whose supervisor is this test binary.
func openAt(dir string) (*Backend, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return New(Config{Home: homeOf(dir), Dir: dir, Store: runnertest.Store(filepath.Join(dir, "artifacts")),
		Supervisor: []string{exe, "supervise"}})
}

func homeOf(dir string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dir))
	return strconv.FormatUint(uint64(h.Sum32()), 16)
}
