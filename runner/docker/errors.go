package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/wherry-ml/wherry/runner"
)

// failed translates an error of the engine's client: one that says that the
// engine is away becomes an *UnavailableError, others get the operation in
// front. nil stays nil.
func (e *engine) failed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if isAway(err) {
		return e.away(err, format, args...)
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), plain(err))
}

func (e *engine) away(err error, format string, args ...any) error {
	return &runner.UnavailableError{
		Backend: name, Tried: []string{e.end.String()}, Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err),
		Mend: "see whether the engine runs: docker info",
	}
}

// isClosing reports whether an answer is that of an engine which is being stopped:
// it still answers while what it needs for a start is closed already.
func isClosing(err error) bool {
	for _, sign := range []string{"failed to update store for object type", "database not open", "client connection is closing", "transport is closing"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// isAway reports whether err says that nobody answers, as opposed to an answer
// that says no.
func isAway(err error) bool {
	if client.IsErrConnectionFailed(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	for _, e := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// plain leaves out the client's preamble.
func plain(err error) error {
	const preamble = "Error response from daemon: "
	if s := err.Error(); strings.HasPrefix(s, preamble) {
		return &engineError{err: err, text: strings.TrimPrefix(s, preamble)}
	}
	return err
}

type engineError struct {
	err  error
	text string
}

func (e *engineError) Error() string { return e.text }
func (e *engineError) Unwrap() error { return e.err }

func isNotFound(err error) bool { return err != nil && errdefs.IsNotFound(err) }
func isConflict(err error) bool { return err != nil && errdefs.IsConflict(err) }

func unsupported(field, format string, args ...any) error {
	return &runner.UnsupportedError{Backend: name, Field: field, Reason: fmt.Sprintf(format, args...)}
}
