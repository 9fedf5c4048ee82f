// Package artifact is the content-addressed store below WHERRY_HOME and what
// brings data in from elsewhere.
//
//	a step's output ─── Add ──────┐ hard links
//	a mounted source ── Snapshot ─┼─► artifacts/sha256/ab/abcd…   an object: a file or a directory
//	an importer's URI ─ Import ───┘ copies
//
// Beside the objects lie artifacts/blobs (the files that snapshots share, by
// content and mode), artifacts/tmp (what is being made, one folder per
// operation, locked by its process) and snapshots (what Snapshot and Import remember
// of a source, so that unchanged files are not read again).
//
// An object appears under its digest complete and on the disk, or not at all:
// it is made in artifacts/tmp, synced, and renamed.
//
// Start reading at Store.
package artifact
