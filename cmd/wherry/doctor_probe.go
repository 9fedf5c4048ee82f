package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// prober asks containers what they see of this machine's files. An engine in a
// virtual machine (Docker Desktop, Colima) shares only some folders with it, and
// shows an empty folder in place of others.
type prober struct {
	g       *globals
	backend runner.Backend
	image   string // Image.Ref
}

// probeError says that a container does not see what it should.
type probeError struct {
	msg, mend string
	unchecked bool // it could not be tried
}

func (e *probeError) Error() string { return e.msg }

// Hint says what to do next.
func (e *probeError) Hint() string { return e.mend }

const probePath = "/wherry-probe" // of what is probed, in the container

// probe returns nil if a container sees the file or folder at source.
func (p prober) probe(ctx context.Context, source string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	command, want, remove, err := placeProbe(source)
	if err != nil {
		return &probeError{msg: fmt.Sprintf("%s can't be written to, so whether a container sees it was not checked: %v", source, pathCause(err)),
			mend: "write SOURCE:TARGET:ro if steps only read it", unchecked: true}
	}
	defer remove()
	said, exit, err := p.run(ctx, source, command)
	if err != nil {
		return fmt.Errorf("a container with %s mounted: %w", source, err)
	}
	if exit.OK() && strings.TrimSpace(said) == want {
		return nil
	}
	if exit.Cause != runner.CauseCompleted && exit.Cause != runner.CauseError {
		return &probeError{msg: fmt.Sprintf("a container with %s mounted did not run: %s %s", source, exit.Cause, exit.Message), mend: "docker run --rm " + p.image + " true"}
	}
	return &probeError{msg: fmt.Sprintf("a container does not see %s: the engine does not share it", source), mend: shareHint()}
}

// placeProbe returns a shell command and what it must print in a container that
// has source mounted. In a folder a file is made for it, which remove removes.
func placeProbe(source string) (command, want string, remove func(), err error) {
	info, err := os.Stat(source)
	if err != nil {
		return "", "", nil, err
	}
	if !info.IsDir() {
		return "wc -c < " + probePath, fmt.Sprint(info.Size()), func() {}, nil
	}
	f, err := os.CreateTemp(source, ".wherry-doctor-*")
	if err != nil {
		return "", "", nil, err
	}
	want = rand.Text()
	_, err = f.WriteString(want + "\n")
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return "", "", nil, errors.Join(err, os.Remove(f.Name()))
	}
	return "cat " + path.Join(probePath, filepath.Base(f.Name())), want, func() { os.Remove(f.Name()) }, nil
}

// run runs a shell command in a container with source mounted read-only, and
// returns what it printed to stdout.
func (p prober) run(ctx context.Context, source, command string) (string, runner.Exit, error) {
	run := "doctor-" + strings.ToLower(rand.Text()[:8])
	pod := runner.Pod{
		Name:   runner.PodName(p.g.homeID(), run, 0, 1),
		Labels: map[string]string{runner.LabelHome: p.g.homeID(), runner.LabelRun: run},
		Containers: []runner.Container{{
			Name: "probe", Image: p.image, Command: []string{"/bin/sh", "-c", command},
			Mounts: []runner.Mount{{Volume: "probe", Path: probePath, ReadOnly: true}},
		}},
		Volumes:  []runner.Volume{{Name: "probe", Host: source}},
		Network:  runner.Network{Mode: runner.NetworkNone},
		Deadline: time.Minute,
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		_ = p.backend.Remove(ctx, pod.Name)
	}()
	if err := p.backend.Ensure(ctx, []runner.Pod{pod}); err != nil {
		return "", runner.Exit{}, err
	}
	if err := p.wait(ctx, pod.Name); err != nil {
		return "", runner.Exit{}, err
	}
	var said stdout
	exit, err := p.backend.Collect(ctx, pod, &said)
	return said.String(), exit, err
}

// wait returns when the pod has ended.
func (p prober) wait(ctx context.Context, pod string) error {
	for s, err := range p.backend.Watch(ctx) {
		if err != nil {
			return err
		}
		if s.Pod == pod && (s.Phase == runner.PhaseEnded || s.Phase == runner.PhaseGone) {
			return nil
		}
	}
	return context.Cause(ctx)
}

// stdout is a runner.Sink that keeps what was printed to stdout.
type stdout struct{ strings.Builder }

// Output is not called: the pod has none.
func (s *stdout) Output(string, string) error { return nil }

// Line keeps a line.
func (s *stdout) Line(l runner.Line) error {
	if l.Stream == runner.Stdout {
		s.Write(append(l.Text, '\n'))
	}
	return nil
}

func shareHint() string {
	if runtime.GOOS == "darwin" {
		return "share it with the engine's virtual machine (Docker Desktop: Settings, Resources, File sharing; Colima: colima start --mount FOLDER:w), or use a folder below your home folder"
	}
	return "share it with the engine if that runs in a virtual machine, or use a folder below your home folder"
}

// checkSource looks at a source of a read-only mount, which wherry reads itself.
func (d *diagnosis) checkSource(m mount) {
	f, err := os.Open(m.Source)
	if err == nil {
		defer f.Close()
		d.add("mount", findingOK, "", "%s is yours to read, and copied to WHERRY_HOME for each run (:ro)", m.Source)
		return
	}
	mend := ""
	if errors.Is(err, fs.ErrPermission) {
		mend = "sudo chown -R " + userName() + " " + shellQuote(m.Source)
	}
	d.add("mount", findingFail, mend, "%s can't be read: %v", m.Source, pathCause(err))
}
