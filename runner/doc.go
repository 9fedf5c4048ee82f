// Package runner is what runs pods somewhere: the Pod, the Backend interface
// and the types between them. It holds no engine's types; runner/docker and
// runner/process implement it, and runner/runnertest holds the one suite of
// promises that each of them must keep.
//
//	Pod ── Resolve (images) ── Ensure (start or adopt) ── Watch (exit) ── Collect (outputs, logs) ── Remove
//
// Start reading at Backend.
package runner
