package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// DigestError says that a text is not a digest.
type DigestError struct{ Text string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("%q is not a digest: want sha256: and 64 hexadecimal digits in lower case", e.Text)
}

// CorruptError says that an object is not what its digest says.
type CorruptError struct {
	Digest string
	Path   string
	Got    string // its real digest; empty where it has none

	Removed bool // from the store, so that it is made again
}

func (e *CorruptError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("artifact %s at %s is damaged", e.Digest, e.Path)
	}
	return fmt.Sprintf("artifact %s at %s is damaged: its content is now %s", e.Digest, e.Path, e.Got)
}

// Hint says what to do next.
func (e *CorruptError) Hint() string {
	if e.Removed {
		return "run the pipeline again: it was removed from the store, and the task that made it will run; check the disk"
	}
	return "check the disk, and run the task that made it again with --no-cache"
}

// NoSpaceError says that the disk is full. It unwraps to ENOSPC or EDQUOT.
type NoSpaceError struct {
	Doing string // "storing the output /runs/1/model"
	Dir   string // on the disk that is full
	Need  int64  // bytes that all of it takes; 0: links only
	Free  int64  // bytes that are free
	Files int64  // files that can still be made; -1: the file system has no such limit
	Err   error
}

func (e *NoSpaceError) Error() string {
	what := fmt.Sprintf("%s needed, %s free", bytesText(e.Need), bytesText(e.Free))
	switch {
	case e.Files == 0:
		what = "the file system can't hold another file (no free inodes)"
	case errors.Is(e.Err, syscall.EDQUOT):
		what = bytesText(e.Need) + " needed, which is more than the disk quota allows"
	}
	return fmt.Sprintf("%s: no room on the disk of %s: %s", e.Doing, e.Dir, what)
}

// Unwrap returns the system's error.
func (e *NoSpaceError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *NoSpaceError) Hint() string {
	return fmt.Sprintf("make room on the disk of %s, or set WHERRY_HOME to a folder on a larger one", e.Dir)
}

// UnsupportedSchemeError says that Import can't bring in this kind of URI.
type UnsupportedSchemeError struct {
	URI    string // without its password
	Scheme string
}

func (e *UnsupportedSchemeError) Error() string {
	return fmt.Sprintf("import %s: %s:// can't be read yet, only local files", e.URI, e.Scheme)
}

// Hint says what to do next.
func (e *UnsupportedSchemeError) Hint() string {
	return "download it and name its path, absolute or as file:///path"
}

// SpecialFileError says that what should be stored is or holds a socket, a
// device or a named pipe.
type SpecialFileError struct {
	Path string
	Mode fs.FileMode
}

func (e *SpecialFileError) Error() string {
	return fmt.Sprintf("%s is a %s, not a file or a directory", e.Path, special(e.Mode))
}

// Hint says what to do next.
func (e *SpecialFileError) Hint() string {
	return "write it outside the output, or remove it at the end"
}

func special(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// ChangedError says that a file was written to while it was being stored.
type ChangedError struct{ Path string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while it was being stored", e.Path)
}

// Hint says what to do next.
func (e *ChangedError) Hint() string { return "end what writes to it, and try again" }

// EscapeError says that an output is a symbolic link to somewhere else.
type EscapeError struct{ Path, Target string }

func (e *EscapeError) Error() string {
	return fmt.Sprintf("%s is a symbolic link to %s, outside its own folder", e.Path, e.Target)
}

// Hint says what to do next.
func (e *EscapeError) Hint() string { return "write the file itself instead of a link" }

// noSpace turns a full disk into a *NoSpaceError and leaves other errors as
// they are.
func (s *Store) noSpace(err error, doing string, need int64) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	if e, ok := errors.AsType[*NoSpaceError](err); ok {
		return e
	}
	free, files, _ := Room(s.home)
	return &NoSpaceError{Doing: doing, Dir: s.home, Need: need, Free: free, Files: files, Err: err}
}

func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
