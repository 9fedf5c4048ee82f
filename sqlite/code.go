package sqlite

// code is what package sqlite tells apart of SQLite's result codes.
type code int

const (
	codeOther code = iota
	codeBusy
	codeFull
	codeNotDatabase
	codeCorrupt
	codeExists
	codeAccess
)
