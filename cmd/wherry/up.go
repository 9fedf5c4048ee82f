package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wherry-ml/wherry/dag"
)

func newUpCmd(g *globals) *cobra.Command {
	detach := false
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Stay: go on with what was interrupted, run watched files with each save",
		Long: `Up is the long-lived process of a home. While it is up it goes on with runs and
experiments that have lost their driver (one that is dead at once, one that hangs within
10 s), and keeps the watches of the wherry.yaml of this folder or of one above it: each file that watch
names there is run, and again with each save, as wherry run FILE --watch does. A change
of wherry.yaml counts at once.

It needs no engine to start: it waits for one. When it ends (wherry down, Ctrl-C) the
steps that run go on as they are, and the next wherry up, or wherry resume, goes on with
them. It logs to stderr, with -d to up/log in WHERRY_HOME.`,
		Example: `  wherry up            # in the foreground
  wherry up -d         # in the background
  wherry status        # what it does, and what waits
  wherry down`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.up(cmd.Context(), detach) },
	}
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "go to the background once it is up")
	return cmd
}

// part is one of the things that `wherry up` does. It runs until ctx ends, whose cause
// is dag.ErrHangup: then it leaves runs as they are. An error before that ends all.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// server is the process that is up.
type server struct {
	*globals
	dir     string   // where it was started: whose wherry.yaml counts
	project *project // as it was at the start
	state   *upState
}

// parts are what is done while it is up. What comes later (the API, the router,
// schedules) is one more.
func (s *server) parts() []part {
	watches := newKeeper(s)
	return []part{
		{"runs", newResumer(s, watches.keeps).run},
		{"watches", watches.run},
	}
}

func (g *globals) up(ctx context.Context, detach bool) error {
	s := &server{globals: g}
	var err error
	if s.dir, err = os.Getwd(); err != nil {
		return err
	}
	if s.project, err = findProject(s.dir); err != nil {
		return err
	}
	if err := s.project.checkWatched(); err != nil {
		return err
	}
	if detach {
		return g.upDetached(ctx)
	}
	if _, err := g.database(ctx); err != nil { // it makes the home
		return err
	}
	claim, err := g.claimUp()
	if err != nil {
		return err
	}
	defer claim.Close()
	return s.serve(ctx)
}

// serve does all parts until ctx ends, or one of them fails.
func (s *server) serve(ctx context.Context) error {
	defer goOnUnread()() // its log may be piped to one who ends
	s.log = slog.New(slog.NewTextHandler(s.Err, nil))
	s.said = &sync.Map{}
	s.state = newUpState(s.globals, s.project.File)
	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	defer context.AfterFunc(ctx, func() { end(dag.ErrHangup) })() // runs outlive it
	if err := s.state.save(); err != nil {                        // it is up
		return err
	}
	defer s.state.remove()
	s.log.Info("up", "home", s.Home, "pid", os.Getpid(), "version", versionLine(), "project", s.project.File)
	parts := s.parts()
	failed := make(chan error, len(parts))
	var wait sync.WaitGroup
	for _, p := range parts {
		wait.Go(func() {
			if err := p.run(work); err != nil && work.Err() == nil {
				failed <- fmt.Errorf("%s: %w", p.name, err)
				end(dag.ErrHangup)
			}
		})
	}
	wait.Wait()
	close(failed)
	err := <-failed
	s.log.Info("down: what runs goes on as it is; wherry up or wherry resume goes on with it")
	return err
}

// The folder of the process that is up. Its lock is held as that of a run is.
func (g *globals) upFolder() string    { return filepath.Join(g.Home, "up") }
func (g *globals) upLockPath() string  { return filepath.Join(g.upFolder(), "lock") }
func (g *globals) upOwnerPath() string { return filepath.Join(g.upFolder(), "owner") }
func (g *globals) upLogPath() string   { return filepath.Join(g.upFolder(), "log") }

// isUp reports whether a process is up in this home.
func (g *globals) isUp() bool { return isHeld(g.upLockPath()) }

// claimUp makes this process the one that is up in the home.
func (g *globals) claimUp() (*runLock, error) {
	if err := os.MkdirAll(g.upFolder(), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(g.upLockPath(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &runLock{file: f, release: func() {}}
	if err := flock(f); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, g.alreadyUp()
		}
		return nil, err
	}
	if l.owner, err = claimOwner(g.upOwnerPath()); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// alreadyUp says which process is up.
func (g *globals) alreadyUp() error {
	msg := "wherry up is up already in " + g.Home
	if pid, err := ownerOf(g.upOwnerPath()); err == nil && pid > 0 {
		msg += fmt.Sprintf(": process %d", pid)
	}
	if st, err := g.readUpState(); err == nil {
		msg += ", since " + st.Since.Local().Format(time.DateTime)
	}
	return &workError{state: dag.Failed, msg: msg, mend: "wherry status says what it does, wherry down ends it"}
}

// maxUpLog is the size from which on the log of a detached one is put aside at the
// next start.
const maxUpLog = 10 << 20

// upDetached starts `wherry up` as a session of its own, and returns once it is up.
func (g *globals) upDetached(ctx context.Context) error {
	if _, err := g.database(ctx); err != nil {
		return err
	}
	if g.isUp() {
		return g.alreadyUp()
	}
	log, began, err := g.openUpLog()
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "up")
	cmd.Env = append(os.Environ(), "WHERRY_HOME="+g.Home)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start wherry up: %w", err)
	}
	died := make(chan struct{})
	go func() { _ = cmd.Wait(); close(died) }()
	for {
		if st, err := g.readUpState(); err == nil && st.PID == cmd.Process.Pid {
			break
		}
		select {
		case <-died:
			return g.upDied(cmd, began)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if g.structured() {
		return g.printDocument(map[string]any{"up": map[string]any{"pid": cmd.Process.Pid, "log": log.Name()}})
	}
	g.note(fmt.Sprintf("wherry is up: process %d, log in %s; wherry status says what it does, wherry down ends it", cmd.Process.Pid, log.Name()))
	return nil
}

// openUpLog opens the log for a further start, and says where that begins.
func (g *globals) openUpLog() (log *os.File, began int64, err error) {
	if err := os.MkdirAll(g.upFolder(), 0o755); err != nil {
		return nil, 0, err
	}
	path := g.upLogPath()
	if info, err := os.Stat(path); err == nil && info.Size() > maxUpLog {
		_ = os.Rename(path, path+".1")
	}
	log, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	info, err := log.Stat()
	if err != nil {
		log.Close()
		return nil, 0, err
	}
	return log, info.Size(), nil
}

// upDied says why it ended before it was up.
func (g *globals) upDied(cmd *exec.Cmd, began int64) error {
	if g.isUp() { // another one was faster
		return g.alreadyUp()
	}
	text, _ := os.ReadFile(g.upLogPath())
	said := strings.TrimSpace(string(text[min(began, int64(len(text))):]))
	return fmt.Errorf("wherry up ended at once (%s): %s", cmd.ProcessState, said)
}
