package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wherry-ml/wherry/filetree"
	"github.com/wherry-ml/wherry/runner"
)

// Ensure starts every pod of the gang or none, as runner.Backend says; where the
// command of one can't be started, the others are stopped. It may take as long as building a Python environment takes; Config.Note is told.
func (b *Backend) Ensure(ctx context.Context, gang []runner.Pod) error {
	if err := b.makeDirs(); err != nil {
		return b.unavailable(err)
	}
	b.once.Do(b.sweep)
	plans := make([]*plan, len(gang))
	for i, p := range gang {
		st, err := b.pod(p.Name).look()
		if err != nil {
			return err
		}
		if st.phase == runner.PhaseRunning || st.phase == runner.PhaseEnded || b.pod(p.Name).exists() && st.phase == runner.PhaseGone {
			continue // adopted
		}
		if plans[i], err = b.plan(p); err != nil {
			return fmt.Errorf("start pod %q: %w", p.Name, err)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	made := make([]bool, len(plans))
	for i, pl := range plans {
		if pl != nil {
			g.Go(func() (err error) {
				made[i], err = b.ensure(gctx, pl)
				return err
			})
		}
	}
	err := g.Wait()
	if err == nil {
		return b.stopHalves(ctx, gang)
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for i, pl := range plans {
		if made[i] {
			err = errors.Join(err, b.Remove(undo, pl.Name))
		}
	}
	return err
}

// stopHalves stops the pods of a gang of which one could not be started.
func (b *Backend) stopHalves(ctx context.Context, gang []runner.Pod) error {
	if len(gang) < 2 {
		return nil
	}
	failed := slices.ContainsFunc(gang, func(p runner.Pod) bool {
		st, err := b.pod(p.Name).look()
		return err == nil && st.exit.Cause == runner.CauseStart
	})
	if !failed {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, p := range gang {
		g.Go(func() error { return b.Stop(gctx, p.Name, 0) })
	}
	return g.Wait()
}

func (d podDir) exists() bool {
	_, err := os.Lstat(string(d))
	return err == nil
}

// ensure makes the pod's directory unless there is one, and starts its
// supervisor. made: this call made the directory.
func (b *Backend) ensure(ctx context.Context, pl *plan) (made bool, err error) {
	d := b.pod(pl.Name)
	fail := func(err error) (bool, error) { return made, fmt.Errorf("start pod %q: %w", pl.Name, err) }
	if !d.exists() {
		if made, err = b.prepare(ctx, pl, d); err != nil {
			return fail(err)
		}
	}
	for _, l := range pl.Links {
		if err := b.place(l, false); err != nil {
			return fail(err)
		}
	}
	for _, l := range pl.Inputs {
		if l.Path == l.Real {
			continue
		}
		if err := b.place(l, true); err != nil {
			return fail(err)
		}
	}
	for _, c := range pl.Containers {
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return fail(err)
		}
	}
	if err := b.launch(ctx, d, pl.secrets); err != nil {
		return fail(err)
	}
	return made, nil
}

// prepare makes the pod's directory, at once or not at all; one that another
// process made meanwhile is as good.
func (b *Backend) prepare(ctx context.Context, pl *plan, d podDir) (bool, error) {
	overlaid, err := b.withPython(ctx, pl, d)
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp(b.work(), ".new-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return false, err
	}
	n := podDir(tmp)
	for _, dir := range []string{n.cwd(), n.tmp(), n.logs(), n.run()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return false, err
		}
	}
	if err := pl.fill(ctx, d, n); err != nil {
		return false, err
	}
	for name, base := range overlaid {
		if err := overlay(base, filepath.Join(n.venv(), name), filepath.Join(d.venv(), name)); err != nil {
			return false, err
		}
	}
	if err := writeJSON(n.spec(), pl.spec); err != nil {
		return false, err
	}
	if err := os.WriteFile(n.lock(), nil, 0o644); err != nil {
		return false, err
	}
	err = os.Rename(tmp, string(d))
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return false, nil
	}
	return err == nil, err
}

// fill makes the volumes of d, which still lies at n, and copies their seeds.
func (pl *plan) fill(ctx context.Context, d, n podDir) error {
	for _, dir := range pl.volumes {
		if rel, err := filepath.Rel(string(d), dir); err == nil && filepath.IsLocal(rel) {
			dir = filepath.Join(string(n), rel)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for volume, files := range pl.files {
		if err := writeFiles(n.volume(volume), files); err != nil {
			return fmt.Errorf("fill volume %q: %w", volume, err)
		}
	}
	for volume, seeds := range pl.seeds {
		for _, from := range seeds {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := copyTree(from, n.volume(volume)); err != nil {
				return fmt.Errorf("fill volume %q: %w", volume, err)
			}
		}
	}
	return nil
}

// launch starts the supervisor of d in a session of its own and returns when it
// has taken the pod, or found that another has.
func (b *Backend) launch(ctx context.Context, d podDir, s secrets) error {
	hidden, err := json.Marshal(s)
	if err != nil {
		return err
	}
	words := append(append([]string{}, b.cfg.Supervisor...), string(d))
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // it hardly computes
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdin = bytes.NewReader(hidden)
	out, err := os.OpenFile(filepath.Join(string(d), "supervisor.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	status, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		status.Close()
		return fmt.Errorf("start its supervisor: %w", err)
	}
	said := make(chan string, 1)
	go b.attend(cmd, status, said, d)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-said:
		return d.started(line)
	}
}

// attend hands on what the supervisor says, and takes note of its end. It holds
// no thread while it waits, and ends with the supervisor.
func (b *Backend) attend(cmd *exec.Cmd, status *os.File, said chan<- string, d podDir) {
	r := bufio.NewReaderSize(status, 256)
	line, _ := r.ReadString('\n')
	said <- line
	_, _ = io.Copy(io.Discard, r)
	status.Close()
	_ = cmd.Wait()
	b.hub.poke(d.name())
}

func (d podDir) started(said string) error {
	switch said = strings.TrimSpace(said); said {
	case saysOK, saysTaken:
		return nil
	case "":
		text, _ := os.ReadFile(filepath.Join(string(d), "supervisor.log"))
		return fmt.Errorf("its supervisor ended at once: %s", lastLines(string(text), 5))
	default:
		return fmt.Errorf("its supervisor says: %s", said)
	}
}

// sweep removes what a crash left half made or half removed.
func (b *Backend) sweep() {
	entries, _ := os.ReadDir(b.work())
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		old := time.Since(info.ModTime()) > 24*time.Hour
		if strings.HasPrefix(e.Name(), ".gone-") || old && strings.HasPrefix(e.Name(), ".new-") {
			_ = filetree.RemoveAll(filepath.Join(b.work(), e.Name()))
		}
	}
}
