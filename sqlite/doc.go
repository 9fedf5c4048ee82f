// Package sqlite is the database wherry.db in WHERRY_HOME: numbered
// migrations, all SQL, and the stores that other packages ask for.
//
//	dag.Store ──────┐            ┌─ one writer connection (update): BEGIN IMMEDIATE … COMMIT
//	queue.Store ────┼── *DB ─────┤      WAL, NORMAL; FULL for durable batches
//	get, lineage … ─┘            └─ a pool of readers: query_only, snapshots
//
// The tables are MLMD's in shape: executions and artifacts joined by events;
// runs and pipelines are the contexts. The JSON columns hold parameters,
// metadata and what a cache key was made of, with the types of package dag: a
// number with a point is a float64, one without an int64.
//
// Times are nanoseconds since 1970 in UTC, 0 for none.
//
// Start reading at Open (sqlite.go), then update (write.go).
package sqlite
