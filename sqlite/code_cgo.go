//go:build cgo

package sqlite

import (
	"errors"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// classify reads the result code of go-sqlite3's errors, which exist with cgo
// only. https://sqlite.org/rescode.html
func classify(err error) code {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return codeOther
	}
	switch {
	case e.Code == sqlite3.ErrBusy, e.Code == sqlite3.ErrLocked, e.Code == sqlite3.ErrProtocol:
		return codeBusy
	case e.Code == sqlite3.ErrFull, e.SystemErrno == syscall.ENOSPC, e.SystemErrno == syscall.EDQUOT,
		e.ExtendedCode == sqlite3.ErrIoErrSHMSize:
		return codeFull
	case e.Code == sqlite3.ErrNotADB:
		return codeNotDatabase
	case e.Code == sqlite3.ErrCorrupt:
		return codeCorrupt
	case e.Code == sqlite3.ErrCantOpen, e.Code == sqlite3.ErrReadonly, e.Code == sqlite3.ErrPerm:
		return codeAccess
	case e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey, e.ExtendedCode == sqlite3.ErrConstraintUnique:
		return codeExists
	}
	return codeOther
}
