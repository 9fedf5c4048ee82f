// Package harness is what the tests that drive the real binary share: the binary
// itself, an engine that answers, and taking away what a home left.
// Only tests use it.
package harness
