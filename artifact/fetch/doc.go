// Package fetch brings in what a URI names elsewhere: a file or a directory.
//
//	Fetch ─ scheme ─┬─ http, https ──────────┐
//	                ├─ s3, minio, gs ─ bucket ┼─ files ─ download ─► a folder of the caller
//	                └─ oci ─ layers ── untar ─┘
//
// Nothing is kept in memory, a stream that breaks is taken up where it broke, and
// no name from elsewhere leads out of the caller's folder. What is wrong comes back
// as one *Error that says what was asked, what the answer was and what to do.
//
// Credentials and endpoints come from where each store's own tools look for them.
//
// Start reading at Fetch.
package fetch
