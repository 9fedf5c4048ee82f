//go:build !cgo

package sqlite

// classify has nothing to read: without cgo go-sqlite3 opens no database.
func classify(error) code { return codeOther }
