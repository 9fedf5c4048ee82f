package bundle

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// BrokenError says that a file is no bundle, or a damaged one. Nothing was changed.
type BrokenError struct {
	File string
	At   int64 // byte; 0: not known
	Err  error
}

func (e *BrokenError) Error() string {
	what := e.Err.Error()
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		what = "it ends too early"
	}
	if e.At > 0 {
		what += fmt.Sprintf(" (at byte %d)", e.At)
	}
	return fmt.Sprintf("bundle %s is refused: %s; nothing was loaded", e.File, what)
}

// Unwrap returns what is wrong.
func (e *BrokenError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *BrokenError) Hint() string {
	return "copy the file again from where it was saved (sha256sum must agree), or save it anew: wherry bundle save"
}

// VersionError says that a newer wherry has written the bundle.
type VersionError struct {
	File string
	What string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("bundle %s was saved by a newer wherry: %s", e.File, e.What)
}

// Hint says what to do next.
func (e *VersionError) Hint() string { return "bring that wherry along too; it is one file" }

// BusyError says that another process writes the same bundle.
type BusyError struct{ File string }

func (e *BusyError) Error() string { return fmt.Sprintf("another wherry writes %s", e.File) }

// Hint says what to do next.
func (e *BusyError) Hint() string { return "wait for it, or name another file" }

// FullError says that there is no space left.
type FullError struct {
	Doing string // "save bundle demo.tar"
	Mend  string
	Err   error
}

func (e *FullError) Error() string { return e.Doing + ": no space left on the disk" }

// Unwrap returns the system's own words.
func (e *FullError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *FullError) Hint() string { return e.Mend }

// isFull reports whether err says that there is no space left.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
