package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// exitRoom is the size of the file that is laid aside for the exit, in bytes.
const exitRoom = 4096

// reserveExit writes what the exit will overwrite, so that a disk that is full by
// then still takes it.
func reserveExit(d podDir) error {
	if err := os.WriteFile(d.exit()+".tmp", bytes.Repeat([]byte{' '}, exitRoom), 0o644); err != nil {
		return fmt.Errorf("make room for the exit of pod %q: %w", d.name(), err)
	}
	return d.begin()
}

// record puts the exit on record, at once and durably, and tells watchers.
func (s *supervisor) record() error {
	exit := s.exit()
	if len(exit.Message) > exitRoom/4 {
		exit.Message = strings.ToValidUTF8(exit.Message[:exitRoom/4], "")
	}
	data, err := json.Marshal(exit)
	if err != nil {
		return err
	}
	tmp := s.dir.exit() + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.dir.exit()); err != nil {
		return err
	}
	return os.Remove(s.dir.live())
}

// exit says how the pod ended and which container decided that: the first that
// failed, else the main one that ended last.
func (s *supervisor) exit() runner.Exit {
	e := runner.Exit{Cause: runner.CauseCompleted, Started: s.began, Message: strings.Join(s.notes, "; ")}
	var decides *container
	for _, c := range s.all {
		if c.phase != ended || c.spec.Role == runner.Sidecar {
			continue
		}
		if e.Ended.Before(c.ended) {
			e.Ended = c.ended
		}
		if decides == nil || c.before(decides) {
			decides = c
		}
	}
	if e.Ended.IsZero() {
		e.Ended = time.Now()
	}
	if decides != nil {
		e.Container, e.Code = decides.spec.Name, decides.code
		e.Started = s.firstStart()
	}
	switch {
	case s.stopped != "":
		e.Cause = s.stopped
	case decides == nil || decides.well():
	case decides.err != nil:
		e.Cause = runner.CauseStart
	default:
		e.Cause = runner.CauseError
	}
	return e
}

// before reports whether c rather than d decided how the pod ended.
func (c *container) before(d *container) bool {
	if c.well() != d.well() {
		return !c.well()
	}
	if c.well() {
		return c.ended.After(d.ended)
	}
	return c.ended.Before(d.ended)
}

func (s *supervisor) firstStart() time.Time {
	var first time.Time
	for _, c := range s.all {
		if !c.started.IsZero() && (first.IsZero() || c.started.Before(first)) {
			first = c.started
		}
	}
	return first
}
