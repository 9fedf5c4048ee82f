// Package bundle carries what a pipeline needs to a machine without a network: one
// file, a tar of an OCI image layout.
//
//	Save ── images of the engine ─────┐                          ┌─► Load ── the engine
//	        artifacts, logs, files ───┼─► oci-layout, blobs/…, ──┤            the artifact store
//	        rows of the database ─────┘   index.json             └            the database, last
//
// index.json names the images and one artifact manifest of wherry's own, whose config
// is a Document: what lies where. Every blob bears its sha256, and the archive has
// one form only (see archive.go): what differs by one byte is refused.
//
// Load reads and checks the whole file before it changes anything. Save writes
// FILE.partial, takes up what an interrupted one has left there, and renames it.
//
// Start reading at Save and Load.
package bundle
