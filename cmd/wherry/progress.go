package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/wherry-ml/wherry/cmd/wherry/screen"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/logfile"
)

// progress prints a line on stderr for each thing that happens in a run, and says
// every half minute what is awaited while nothing does. On a terminal a tree of the
// run shows both, and only notes and failures are printed, above it.
type progress struct {
	g       *globals
	tree    *screen.Screen // nil: lines
	log     *slog.Logger   // nil: lines are for people
	mu      sync.Mutex
	running map[*dag.Execution]time.Time // since when
	last    time.Time                    // when something was printed
	stop    chan struct{}
	stopped sync.Once

	out     io.Writer
	home    string
	color   bool
	quiet   bool
	verbose bool
	start   time.Time
	states  map[*dag.Execution]string // what was printed last
	known   map[string]bool           // tasks that an earlier driver counted
	total   int
	done    int
	lastRun dag.State
}

func newProgress(g *globals) *progress {
	p := &progress{
		g: g, log: g.log, out: g.Err, home: g.Home, color: g.colors(g.Err), quiet: g.Quiet, verbose: g.Verbose,
		start: time.Now(), last: time.Now(), states: map[*dag.Execution]string{}, known: map[string]bool{}, running: map[*dag.Execution]time.Time{}, stop: make(chan struct{}),
	}
	if f := g.terminal(g.Err); f != nil && !g.Quiet && g.log == nil {
		p.tree = screen.New(f, p.color, screen.Reflows(g.Getenv))
		p.out = p.tree
	}
	return p
}

// of says which run it is of, where that is logged.
func (p *progress) of(run string) *progress {
	if p.log != nil {
		p.log = p.log.With("run", run)
	}
	return p
}

// goOn counts what an earlier driver has done already.
func (p *progress) goOn(run *dag.Run, executions []*dag.Execution) {
	if p.tree != nil {
		p.tree.Restore(run, executions)
	}
	open := 0
	for _, x := range executions {
		if !x.Kind.Runs() && x.State != dag.Skipped {
			continue
		}
		p.known[x.Path] = true
		p.total++
		switch {
		case x.State.Ended():
			p.done++
		case x.State == dag.Running:
			open++
		}
	}
	if !p.quiet {
		p.line("▸", "", fmt.Sprintf("resuming run %s: %d of %d tasks had ended, %d had started", run.Name, p.done, p.total, open))
	}
}

// await shows from now on what is awaited, until close. The logs are those of the
// backend that the run is on.
func (p *progress) await(logs screen.Logs) {
	if p.quiet || p.log != nil { // a log says what happens, not that nothing does
		return
	}
	if p.tree != nil {
		p.g.tree.Store(p.tree)
		p.tree.Start(logs)
		return
	}
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
				p.sayAwaited()
			}
		}
	}()
}

// close ends await. The tree makes room for the summary, if there will be one on
// the same terminal.
func (p *progress) close(summary bool) {
	p.stopped.Do(func() { close(p.stop) })
	if p.tree != nil {
		p.tree.Close(!summary || p.g.structured() || p.g.terminal(p.g.Out) == nil)
	}
}

// mute ends all printing, once nothing is awaited any more: a newer run is shown.
func (p *progress) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
}

// quietFor is how long nothing may be printed.
const quietFor = 30 * time.Second

func (p *progress) sayAwaited() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.running) == 0 || time.Since(p.last) < quietFor {
		return
	}
	var names []string
	for x, since := range p.running {
		names = append(names, fmt.Sprintf("%s %s", x.Path, seconds(time.Since(since))))
	}
	slices.Sort(names)
	text := "running: " + strings.Join(names[:min(len(names), 4)], ", ")
	if len(names) > 4 {
		text += fmt.Sprintf(" and %d more", len(names)-4)
	}
	p.line("·", "", text)
}

// terminal returns the terminal that w is, if lines can be redrawn there: not in
// CI, whose terminals only record.
func (g *globals) terminal(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if ci := g.Getenv("CI"); !ok || g.Getenv("TERM") == "dumb" || ci != "" && ci != "false" || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// colors reports whether w is a terminal whose user wants colours.
func (g *globals) colors(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && g.Getenv("NO_COLOR") == "" && g.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// observe is a dag.Driver's Observe.
func (p *progress) observe(e dag.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet, e.Detail && !p.verbose:
	case p.tree != nil:
		p.onTree(e)
	case e.Items > 0:
	case e.Note != "":
		p.line("·", "", e.Note)
	case e.Execution != nil:
		p.execution(e.Execution)
	default:
		p.run(e.Run)
	}
}

// onTree shows an event in the tree. What a person has to read, or may want to read
// again, is printed as well.
func (p *progress) onTree(e dag.Event) {
	p.tree.Observe(e)
	switch x := e.Execution; {
	case x == nil && e.Note != "":
		p.line("·", "", e.Note)
	case x == nil:
		if e.Run.State == dag.Canceling {
			p.run(e.Run)
		}
	case x.State == dag.Failed && e.Note == "" && e.Items == 0:
		p.execution(x)
	}
}

func (p *progress) run(r *dag.Run) {
	if r.State == p.lastRun {
		return
	}
	p.lastRun = r.State
	switch r.State {
	case dag.Running:
		p.line("▸", "", fmt.Sprintf("run %s of %s (id %s)", r.Name, r.Pipeline.Name, r.ID))
	case dag.Canceling:
		p.line("▸", yellow, "canceling: waiting for running steps to stop; press Ctrl-C again to kill them")
	}
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
)

func (p *progress) execution(x *dag.Execution) {
	unreached := x.State == dag.Skipped || x.State == dag.Failed && x.Started.IsZero() // of a group: it never began
	if !x.Kind.Runs() && !unreached {
		return
	}
	word := fmt.Sprintf("%s %d", x.State, len(x.Attempts))
	if p.states[x] == word {
		return
	}
	if p.states[x] == "" && !p.known[x.Path] {
		p.total++
	}
	p.states[x] = word
	delete(p.running, x)
	if x.State == dag.Running {
		p.running[x] = time.Now()
	}
	if x.State.Ended() {
		p.done++
	}
	switch x.State {
	case dag.Running:
		if n := len(x.Attempts); n > 1 {
			p.line("▸", "", fmt.Sprintf("%s: attempt %d started", x.Path, n))
			return
		}
		p.line("▸", "", fmt.Sprintf("%s: started (%s)", x.Path, x.Reason))
	case dag.Succeeded:
		if x.Cached {
			p.line("✓", green, fmt.Sprintf("%s: cached (%s)", x.Path, x.Reason))
			return
		}
		p.line("✓", green, fmt.Sprintf("%s: done in %s", x.Path, span(x.Started, x.Ended)))
	case dag.Failed:
		p.line("✗", red, fmt.Sprintf("%s: failed: %s", x.Path, x.Error))
		p.tail(x)
	case dag.Skipped:
		p.line("-", dim, fmt.Sprintf("%s: skipped: %s", x.Path, x.Reason))
	case dag.Canceled:
		p.line("-", yellow, x.Path+": canceled")
	}
}

// levels are how bad a line in this color is.
var levels = map[string]slog.Level{red: slog.LevelError}

// line prints one event with the seconds since the start and how far the run is.
func (p *progress) line(mark, color, text string) {
	p.last = time.Now()
	if p.log != nil {
		p.log.Log(context.Background(), levels[color], text)
		return
	}
	if p.color && color != "" {
		mark, text = "\x1b["+color+"m"+mark, text+"\x1b[0m"
	}
	if p.tree != nil { // it says how far the run is
		fmt.Fprintf(p.out, "%s %s\n", mark, text)
		return
	}
	fmt.Fprintf(p.out, "%7.1fs %d/%d %s %s\n", time.Since(p.start).Seconds(), p.done, p.total, mark, text)
}

// tailLines is how many of its last log lines a failed step shows.
const tailLines = 20

func (p *progress) tail(x *dag.Execution) {
	if len(x.Attempts) == 0 || x.Attempts[len(x.Attempts)-1].Log == "" {
		return
	}
	lines, err := logfile.Tail(filepath.Join(p.home, x.Attempts[len(x.Attempts)-1].Log), tailLines)
	if err != nil || len(lines) == 0 {
		return
	}
	if p.log != nil {
		for _, l := range lines {
			p.log.Info(printable(l.Text), "log", x.Path)
		}
		return
	}
	fmt.Fprintf(p.out, "  last lines of %s:\n", x.Path)
	for _, l := range lines {
		fmt.Fprintf(p.out, "  | %s\n", printable(l.Text))
	}
}

// printable makes a log line safe for a terminal: no control characters.
func printable(text []byte) string {
	out := make([]rune, 0, len(text))
	for _, r := range string(text) {
		if r < ' ' && r != '\t' || r == 0x7f {
			r = '·'
		}
		out = append(out, r)
	}
	return string(out)
}

// writeLine prints a log line as the container wrote it: stdout's on out,
// stderr's on err.
func writeLine(out, errOut io.Writer, l runner.Line) error {
	w := out
	if l.Stream == runner.Stderr {
		w = errOut
	}
	text := l.Text
	if !l.Partial {
		text = append(text[:len(text):len(text)], '\n')
	}
	_, err := w.Write(text)
	return err
}
