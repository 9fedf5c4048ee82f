package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
)

// LockedError says that another process held the database for too long.
type LockedError struct {
	Path   string
	Waited time.Duration
	Holder string // "process 4711 (sqlite3)"; empty: not known
	Err    error
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("the database %s is locked by %s, waited %s", e.Path, holder, e.Waited)
}

// Unwrap returns SQLite's own words.
func (e *LockedError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *LockedError) Hint() string {
	return "wait for that process or end it (a shell with an open transaction, a backup), then repeat the command; " +
		"`lsof " + e.Path + "` lists who has the file open"
}

// FullError says that there is no space left for the database.
type FullError struct {
	Path string
	Err  error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("no space left for the database %s", e.Path)
}

// Unwrap returns SQLite's own words.
func (e *FullError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *FullError) Hint() string {
	return fmt.Sprintf("free some space on the disk of %s (`df -h %s`), then `wherry resume`; nothing that was recorded is lost",
		filepath.Dir(e.Path), filepath.Dir(e.Path))
}

// NewerError says that a newer wherry has written the database.
type NewerError struct {
	Path           string
	Version, Known int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database %s has version %d, this wherry knows versions up to %d", e.Path, e.Version, e.Known)
}

// Hint says what to do next.
func (e *NewerError) Hint() string {
	return "use the newer wherry that wrote it, or another directory: WHERRY_HOME=DIR wherry …"
}

// ForeignError says that the file is not a database of wherry.
type ForeignError struct {
	Path string
	Err  error
}

func (e *ForeignError) Error() string { return fmt.Sprintf("%s is not a database of wherry", e.Path) }

// Unwrap returns SQLite's own words, if any.
func (e *ForeignError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *ForeignError) Hint() string {
	return "move the file away, or choose another directory: WHERRY_HOME=DIR wherry …"
}

// CorruptError says that the database is damaged.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the database %s is damaged: %v", e.Path, e.Err)
}

// Unwrap returns SQLite's own words.
func (e *CorruptError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *CorruptError) Hint() string {
	return fmt.Sprintf("restore it from a backup, or save what can be read: `sqlite3 %s .recover | sqlite3 new.db`", e.Path)
}

// AccessError says that this user may not open or write the database.
type AccessError struct {
	Path string
	Err  error
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("the database %s can't be opened for writing: %v", e.Path, e.Err)
}

// Unwrap returns SQLite's own words.
func (e *AccessError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *AccessError) Hint() string {
	return fmt.Sprintf("its files and %s must belong to you (`ls -la %s`), or choose another directory: WHERRY_HOME=DIR wherry …",
		filepath.Dir(e.Path), filepath.Dir(e.Path))
}

// NotFoundError says that a reference names nothing. It is dag.ErrNotFound.
type NotFoundError struct {
	Kind string   // "run", "task", "artifact"
	Ref  string   // as the person wrote it
	Near []string // the nearest names there are
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("no %s %q", e.Kind, e.Ref) }

// Is makes errors.Is(err, dag.ErrNotFound) true.
func (e *NotFoundError) Is(target error) bool { return target == dag.ErrNotFound }

// Hint names what may have been meant.
func (e *NotFoundError) Hint() string {
	if len(e.Near) > 0 {
		return "did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	if run, task, ok := strings.Cut(e.Ref, "/"); ok && e.Kind == "run" && run != "" {
		return fmt.Sprintf("a run is wanted: %s, without the task %s", run, task)
	}
	return fmt.Sprintf("`wherry get %ss` lists those there are", e.Kind)
}

// AmbiguousError says that a reference names more than one thing.
type AmbiguousError struct {
	Kind    string
	Ref     string
	Matches []string // some of them
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s %q is ambiguous: %s", e.Kind, e.Ref, strings.Join(e.Matches, ", "))
}

// Hint says what to do next.
func (e *AmbiguousError) Hint() string { return "write more of the id" }

// typed turns SQLite's error codes into the types above. Others stay as they are.
func (d *DB) typed(err error) error {
	if err == nil {
		return nil
	}
	var known interface{ Hint() string }
	if errors.As(err, &known) {
		return err
	}
	switch classify(err) {
	case codeBusy:
		return &LockedError{Path: d.path, Waited: d.timeout, Holder: lockHolder(d.path), Err: err}
	case codeFull:
		return &FullError{Path: d.path, Err: err}
	case codeNotDatabase:
		return &ForeignError{Path: d.path, Err: err}
	case codeAccess:
		return &AccessError{Path: d.path, Err: err}
	case codeCorrupt:
		return &CorruptError{Path: d.path, Err: err}
	}
	return err
}

func isBusy(err error) bool { return classify(err) == codeBusy }
