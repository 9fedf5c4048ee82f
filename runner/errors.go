package runner

import (
	"errors"
	"fmt"
)

// ErrLost is what Collect returns for a pod that is gone without having been
// removed by its owner.
var ErrLost = errors.New("pod is gone")

// UnsupportedError says which field of a pod a backend can't honour.
type UnsupportedError struct {
	Backend string
	Field   string // "network: none"
	Reason  string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the %s backend can't honour %s: %s", e.Backend, e.Field, e.Reason)
}

// UnavailableError says that a backend does not answer.
type UnavailableError struct {
	Backend string
	Tried   []string // addresses
	Err     error
	Mend    string
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the %s backend does not answer: %v", e.Backend, e.Err)
}

// Unwrap returns what the backend's client said.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *UnavailableError) Hint() string { return e.Mend }

// ImageError says that an image can't be had.
type ImageError struct {
	Image string
	Err   error
	Mend  string
}

func (e *ImageError) Error() string { return fmt.Sprintf("image %q can't be had: %v", e.Image, e.Err) }

// Unwrap returns what the registry or engine said.
func (e *ImageError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *ImageError) Hint() string { return e.Mend }

// OutputError says that a pod wrote an output that can't be taken: a symbolic
// link that leads out of its volume. It is the pod's fault: trying again does
// not help.
type OutputError struct {
	Name, Path string
	Err        error
}

func (e *OutputError) Error() string { return fmt.Sprintf("%s can't be taken: %v", e.Path, e.Err) }

// Unwrap returns what is wrong with it.
func (e *OutputError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *OutputError) Hint() string { return "write the file itself there, not a link to it" }
