// Package watch turns what happens to files into change sets: what differs since
// the last one, once it has come to rest.
//
//	targets ── root (root.go): where a target really lies, what is known of it
//	             │
//	inotify ── listen (listen.go) ── changes ──> debounce (debounce.go) ──> Set
//	  or poll (poll.go)                             │
//	                                             settle: what really differs
//
// Only folders are listened to, so that ten thousand files cost nothing while they
// are left alone. An event only says where to look: what counts is whether a file
// differs from what was known of it. So a temporary file that has come and gone is no
// change, and neither a save that took five steps is more than one.
//
// New is the entry point.
package watch
