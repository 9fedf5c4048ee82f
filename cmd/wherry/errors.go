package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/artifact"
	"github.com/wherry-ml/wherry/bundle"
	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/queue"
	"github.com/wherry-ml/wherry/sqlite"
	"github.com/wherry-ml/wherry/tuner"
)

// The exit codes of DESIGN §6.
const (
	exitOK       = 0
	exitFailed   = 1   // the work failed
	exitUsage    = 2   // wrong usage or an invalid file; nothing was started
	exitBackend  = 3   // no backend, or it went away
	exitCanceled = 130 // as a shell says of SIGINT
)

// errInterrupted is the cause of a context that a person's signal canceled.
var errInterrupted = errors.New("interrupted")

// usageError is wrong usage.
type usageError struct{ msg, mend string }

func (e *usageError) Error() string { return e.msg }

// Hint says what to do next.
func (e *usageError) Hint() string { return e.mend }

// workError says that the work ended in another way than well. What happened has
// been shown already.
type workError struct {
	state dag.State
	msg   string
	mend  string
}

func (e *workError) Error() string { return e.msg }

// Hint says what to do next.
func (e *workError) Hint() string { return e.mend }

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if w, ok := errors.AsType[*watchEnded](err); ok {
		return w.code
	}
	if w, ok := errors.AsType[*workError](err); ok {
		if w.state == dag.Canceled {
			return exitCanceled
		}
		return exitFailed
	}
	switch {
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitCanceled
	case is[*runner.UnavailableError](err):
		return exitBackend
	case is[*usageError](err), is[*source.Error](err), is[*dag.ParameterError](err), is[*dag.TaskPathError](err), is[*mountError](err),
		is[*queue.OversizedError](err), is[*sqlite.NotFoundError](err), is[*sqlite.AmbiguousError](err),
		is[*runner.UnsupportedError](err), is[*artifact.SpecialFileError](err),
		is[*tuner.TellError](err), is[*tuner.ReportError](err), is[*bundle.BrokenError](err), is[*bundle.VersionError](err), is[*bundle.BusyError](err),
		strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	}
	return exitFailed
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// report prints an error in the two-line form (what, then what to do) with the
// line of the file it is about, and returns the exit code.
func (g *globals) report(err error) int {
	code := exitCode(err)
	if err == nil {
		return code
	}
	if errors.Is(err, dag.ErrHangup) || errors.Is(err, tuner.ErrLeave) {
		return exitCanceled
	}
	if is[*watchEnded](err) { // it has been shown
		return code
	}
	if errors.Is(err, errInterrupted) && !is[*interruptedError](err) && !is[*experimentError](err) {
		err = errInterrupted // whatever it broke off
	}
	if g.log != nil {
		g.logError(err, code)
		return code
	}
	out := g.words()
	fmt.Fprintf(out, "wherry: %v\n", err)
	if e, ok := errors.AsType[*source.Error](err); ok {
		if excerpt := e.Excerpt(100); excerpt != "" {
			fmt.Fprintln(out, excerpt)
		}
	}
	if next := nextStep(err, code); next != "" {
		fmt.Fprintf(out, "try: %s\n", next)
	}
	return code
}

// logError is report's in a log.
func (g *globals) logError(err error, code int) {
	var more []any
	if e, ok := errors.AsType[*source.Error](err); ok {
		if excerpt := e.Excerpt(100); excerpt != "" {
			more = append(more, "at", excerpt)
		}
	}
	if next := nextStep(err, code); next != "" {
		more = append(more, "try", next)
	}
	g.log.Error(err.Error(), more...)
}

// nextStep is what to do about an error: its own hint, or what helps in general.
func nextStep(err error, code int) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok && h.Hint() != "" {
		return h.Hint()
	}
	if e, ok := errors.AsType[*source.Error](err); ok {
		return fmt.Sprintf("correct %s; --dry-run checks a file and starts nothing", e.File)
	}
	if code == exitUsage {
		return "wherry --help"
	}
	return ""
}
