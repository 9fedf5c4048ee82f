package docker

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// name is what errors and Features call this backend.
const name = "docker"

// Config is what a Backend needs to know.
type Config struct {
	Home     string       // short id of the WHERRY_HOME; only its pods are seen
	Dir      string       // WHERRY_HOME itself; work/ in it is this backend's own
	Store    runner.Store // where inputs, trees and seeds lie
	CABundle string       // PEM file given to every container; may be empty
	Log      *slog.Logger // nil: nothing is logged

	Copy      bool                // copy files as to a remote engine, also where they could be mounted
	Host      string              // address of the engine; empty: found as the docker command finds it
	LookupEnv func(string) string // the environment; nil: os.Getenv
}

// Backend runs pods on a Docker Engine. The zero value is of no use; see New.
type Backend struct {
	cfg     Config
	log     *slog.Logger
	connect connector
	ctx     context.Context // of supervisors and deadline timers; ends with Close
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	ensure  keyLock // by pod name
	silence silence

	mu       sync.Mutex
	pods     map[string]*podState
	removed  map[string]time.Time // pods that Remove was called for, until their end is surely known
	watchers map[*watcher]struct{}
}

var (
	_ runner.Backend = (*Backend)(nil)
	_ runner.Builder = (*Backend)(nil)
	_ runner.Sweeper = (*Backend)(nil)
	_ runner.Peeker  = (*Backend)(nil)

	_ runner.ImageCarrier = (*Backend)(nil)
)

// podState is what this process remembers of a pod, so that the usual way of a
// step needs no question to the engine. Everything in it can be found again.
type podState struct {
	id        string // of its only container, or its holder
	multi     bool
	volumes   bool   // it has scratch volumes of the engine
	container string // name of its only container
	gang      string
	started   time.Time
	phase     runner.Phase
	exit      *runner.Exit // once it has ended
	end       func()       // ends its supervisor or deadline timer, and waits for that
}

// New returns a backend that connects at its first use. Close it after use.
func New(cfg Config) *Backend {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if dir, err := filepath.Abs(cfg.Dir); err == nil {
		cfg.Dir = dir
	}
	b := &Backend{
		cfg: cfg, log: cfg.Log,
		connect:  newConnector(cfg),
		silence:  silence{say: 10 * time.Second, giveUp: 3 * time.Minute},
		pods:     map[string]*podState{},
		removed:  map[string]time.Time{},
		watchers: map[*watcher]struct{}{},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Close ends what this process does for its pods (deadlines, the order of
// containers) and waits for it. The pods themselves run on, and the next Ensure
// takes them up again.
func (b *Backend) Close() error {
	b.cancel()
	b.tasks.Wait()
	return b.connect.close()
}

// Features says what this backend can honour. Accelerators is said to be there
// until the engine was asked; Ensure refuses them where it has none.
func (b *Backend) Features() runner.Features {
	return runner.Features{
		Name: name, Images: true, Isolation: true, Limits: true, SeparateStreams: true,
		Networks: true, Accelerators: true, SeesOpens: b.connect.sameKernel(),
	}
}

// Ping returns nil when an engine answers.
func (b *Backend) Ping(ctx context.Context) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	_, err = e.Ping(ctx)
	return e.failed(err, "ping")
}

// task runs f until it ends, the function that is returned is called (it waits
// for f), or Close is.
func (b *Backend) task(f func(ctx context.Context)) func() {
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan struct{})
	b.tasks.Go(func() {
		defer close(ended)
		defer cancel()
		f(ctx)
	})
	return func() {
		cancel()
		<-ended
	}
}

// state returns what is remembered of a pod, making an empty record if need be.
// b.mu must be held.
func (b *Backend) state(pod string) *podState {
	s := b.pods[pod]
	if s == nil {
		s = &podState{}
		b.pods[pod] = s
	}
	return s
}

// workDir is the pod's own folder on this machine.
func (b *Backend) workDir(pod string) string { return filepath.Join(b.cfg.Dir, "work", pod) }
