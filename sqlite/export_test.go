package sqlite

import "slices"

// CarriedTables are the tables about which it is decided whether they travel.
func CarriedTables() []string {
	names := slices.Clone(notCarried)
	for _, c := range carried {
		names = append(names, c.table)
	}
	return names
}

// What the plans of queries are asked for.
const (
	SelectRuns       = `SELECT ` + runColumns + ` FROM runs r`
	WhereLast        = whereLast
	WhereInterrupted = whereInterrupted
)
