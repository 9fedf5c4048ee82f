// Package queue is the one admission point for all work: what a pod asks for is
// granted against the backend's capacity, across every wherry process that uses
// the same database.
//
//	Request ── Clamp, Fits ── Admit ──┬── granted: device ids ── pod runs ── Release
//	           (at read time)         └── waits for …: ask again
//
// All state is in the Store, and every call is one of its transactions: read all
// admissions of the backend, decide (a pure function), write the difference.
// What has waited longer, of any process, has first claim.
//
// Start reading at Queue (queue.go), then decide (decide.go).
package queue
