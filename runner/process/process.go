package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/wherry-ml/wherry/runner"
)

// Name is what errors and Features call this backend.
const Name = "process"

// Config is what New needs. Home, Dir and Supervisor must be set.
type Config struct {
	Home       string       // short id of WHERRY_HOME
	Dir        string       // path of WHERRY_HOME; absolute
	Store      runner.Store // where inputs, seeds and trees lie; may be nil when no pod has any
	Supervisor []string     // command that calls Supervise with the argument that follows, such as {"/usr/bin/wherry", "supervise"}
	Python     string       // interpreter from which environments are made; empty: python3 on PATH
	Note       func(string) // told what takes long ("pip install …"); may be nil
}

// Backend runs pods as processes of this host. Use New.
type Backend struct {
	cfg  Config
	hub  hub
	once sync.Once // sweeps what a crash left behind

	pyMu sync.Mutex
	py   *python // nil: not looked for yet, or not found
}

var (
	_ runner.Backend       = (*Backend)(nil)
	_ runner.VolumeRemover = (*Backend)(nil)
)

// New returns a backend whose state lies under cfg.Dir. It touches nothing yet.
func New(cfg Config) (*Backend, error) {
	switch {
	case !filepath.IsAbs(cfg.Dir):
		return nil, fmt.Errorf("process backend: directory %q is not absolute", cfg.Dir)
	case len(cfg.Supervisor) == 0:
		return nil, fmt.Errorf("process backend: no supervisor command")
	}
	if cfg.Python == "" {
		cfg.Python = "python3"
	}
	if cfg.Note == nil {
		cfg.Note = func(string) {}
	}
	cfg.Dir = filepath.Clean(cfg.Dir)
	if strings.Contains(cfg.Supervisor[0], "/") {
		path, err := filepath.Abs(cfg.Supervisor[0])
		if err != nil {
			return nil, fmt.Errorf("process backend: find the supervisor: %w", err)
		}
		cfg.Supervisor = append([]string{path}, cfg.Supervisor[1:]...)
	}
	b := &Backend{cfg: cfg}
	b.hub.work, b.hub.live = b.work(), b.live()
	return b, nil
}

// Features says what host processes can honour.
func (b *Backend) Features() runner.Features {
	return runner.Features{
		Name:            Name,
		SeparateStreams: true,
		SeesOpens:       runtime.GOOS == "linux",
	}
}

// Ping returns nil when pods can be kept under Dir and the supervisor exists.
func (b *Backend) Ping(context.Context) error {
	if err := b.makeDirs(); err != nil {
		return b.unavailable(err)
	}
	if _, err := exec.LookPath(b.cfg.Supervisor[0]); err != nil {
		return &runner.UnavailableError{Backend: Name, Tried: b.cfg.Supervisor[:1], Err: err,
			Mend: "start wherry by its full path"}
	}
	return nil
}

// Capacity returns the processors and the memory of this host. It has no GPUs,
// because processes can't be kept to one.
func (b *Backend) Capacity(context.Context) (runner.Capacity, error) {
	mem, err := totalMemory()
	if err != nil {
		return runner.Capacity{}, fmt.Errorf("read the size of memory: %w", err)
	}
	n := runtime.NumCPU()
	return runner.Capacity{CPU: int64(n) * 1000, Memory: mem, Pods: max(4, 4*n)}, nil
}

// Where things lie under Dir.
func (b *Backend) work() string             { return filepath.Join(b.cfg.Dir, "work") }
func (b *Backend) live() string             { return filepath.Join(b.work(), liveDir) }
func (b *Backend) venvs() string            { return filepath.Join(b.cfg.Dir, "venvs") }
func (b *Backend) named(name string) string { return filepath.Join(b.cfg.Dir, "volumes", name) }
func (b *Backend) pod(name string) podDir   { return podDir(filepath.Join(b.work(), name)) }

func (b *Backend) makeDirs() error {
	if err := os.MkdirAll(b.live(), 0o755); err != nil {
		return fmt.Errorf("make the work directory: %w", err)
	}
	return nil
}

func unsupported(field, format string, a ...any) error {
	return &runner.UnsupportedError{Backend: Name, Field: field, Reason: fmt.Sprintf(format, a...)}
}
