package screen

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/wherry-ml/wherry/dag"
)

// The times of a Screen.
const (
	firstFrame = 200 * time.Millisecond // a run that is over by then needs no tree
	pause      = 100 * time.Millisecond // between two frames
	second     = time.Second            // durations grow
)

// Screen draws a Model on a terminal. Its methods are safe for concurrent use, and
// none but Close waits for the terminal: one that was stopped (Ctrl-S) does not stop
// the run.
type Screen struct {
	out     *os.File
	painter painter
	tails   tails
	wake    chan struct{}
	cancel  context.CancelFunc
	done    chan struct{} // closed once the drawing has ended; nil: it has not begun

	mu    sync.Mutex
	model *Model
	view  View   // in place of the model's picture
	text  []byte // to be printed above the tree
	dirty bool
	live  bool
}

// New returns a screen on a terminal. Nothing is drawn before Start.
func New(out *os.File, color, reflows bool) *Screen {
	s := &Screen{out: out, painter: painter{out: out, reflows: reflows}, wake: make(chan struct{}, 1), model: NewModel(color)}
	s.tails.follows = map[string]context.CancelFunc{}
	s.tails.changed = func(pod string, lines []string) { s.change(func(m *Model) { m.SetTail(pod, lines) }) }
	return s
}

// View draws lines of at most that width, at most that many. It must not block.
type View func(now time.Time, width, height int) []string

// NewView returns a screen that shows what view draws, in place of a run.
func NewView(out *os.File, reflows bool, view View) *Screen {
	s := New(out, false, reflows)
	s.view = view
	return s
}

// Changed has the view drawn again.
func (s *Screen) Changed() { s.change(func(*Model) {}) }

// Reflows reports whether a terminal is likely to wrap its lines anew when it gets
// narrower. Nearly all do.
func Reflows(getenv func(string) string) bool {
	switch name := getenv("TERM"); {
	case getenv("TMUX") != "":
		return true
	case getenv("STY") != "", getenv("XTERM_VERSION") != "", name == "linux":
		return false
	}
	return true
}

// Observe takes over what a driver tells.
func (s *Screen) Observe(e dag.Event) { s.change(func(m *Model) { m.Observe(e) }) }

// Restore takes over a run that an earlier driver has begun.
func (s *Screen) Restore(run *dag.Run, executions []*dag.Execution) {
	s.change(func(m *Model) {
		m.SetRun(run)
		for _, x := range executions {
			m.Update(x)
		}
	})
}

func (s *Screen) change(f func(*Model)) {
	s.mu.Lock()
	f(s.model)
	s.dirty = true
	s.mu.Unlock()
	s.poke()
}

func (s *Screen) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Write prints text above the tree. It is whole lines, and never an error.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return s.out.Write(text)
	}
	s.text = append(s.text, text...)
	s.poke()
	return len(text), nil
}

// Start draws from now on, with the tails of what runs from logs (may be nil).
func (s *Screen) Start(logs Logs) {
	ctx, cancel := context.WithCancel(context.Background())
	s.tails.logs, s.cancel, s.done = logs, cancel, make(chan struct{})
	s.mu.Lock()
	s.live = true
	s.mu.Unlock()
	go s.draw(ctx)
}

// Close ends the drawing. The tree stays as it was last if keep is set.
func (s *Screen) Close(keep bool) {
	if s.done == nil {
		return
	}
	s.cancel()
	<-s.done
	s.tails.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.live = nil, false
	if text := s.take(); keep {
		width, height := s.size()
		s.print(text, s.final(width, height), width)
	} else if text != "" || s.painter.widths != nil {
		width, _ := s.size()
		s.print(text, nil, width)
	}
	s.painter.forget()
}

// final is the last picture: nothing runs any more.
func (s *Screen) final(width, height int) []string {
	clear(s.model.tails)
	return s.picture(width, height).Lines
}

// picture is what there is to see now.
func (s *Screen) picture(width, height int) Frame {
	if s.view != nil {
		return Frame{Lines: s.view(time.Now(), width, height)}
	}
	return s.model.View(time.Now(), width, height)
}

func (s *Screen) draw(ctx context.Context) {
	defer close(s.done)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(signals)
	grow := time.NewTicker(second)
	defer grow.Stop()
	next := time.NewTimer(firstFrame)
	defer next.Stop()
	var wake <-chan struct{} // nil while a frame comes anyway
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			s.frame(ctx)
			wake = s.wake
			continue
		case sig := <-signals:
			if sig == syscall.SIGCONT { // who knows what was written meanwhile
				s.painter.forget()
			}
			s.mark()
		case <-grow.C:
			s.mark()
		case <-wake:
		}
		if wake != nil {
			wake = nil
			next.Reset(pause)
		}
	}
}

// mark makes the next frame be drawn though nothing has happened.
func (s *Screen) mark() {
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
}

func (s *Screen) frame(ctx context.Context) {
	width, height := s.size()
	s.mu.Lock()
	if !s.dirty && len(s.text) == 0 {
		s.mu.Unlock()
		return
	}
	f := s.picture(width, height)
	text := s.take()
	s.dirty = false
	s.mu.Unlock()
	s.tails.show(ctx, f.Pods)
	s.print(text, f.Lines, width)
}

func (s *Screen) take() string {
	text := string(s.text)
	s.text = nil
	return text
}

// print draws. A terminal that is gone is no reason to end the run.
func (s *Screen) print(text string, lines []string, width int) {
	_ = s.painter.frame(text, lines, width)
}

// size is the terminal's; 80 × 24 where it has none.
func (s *Screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}
