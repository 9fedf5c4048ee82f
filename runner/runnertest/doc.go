// Package runnertest is the one suite of promises that every backend keeps. It
// runs against the real thing; there is no fake in it.
//
//	func TestMain(m *testing.M) { runnertest.Main(m, openAt) }
//	func TestBackend(t *testing.T) { runnertest.Run(t, open) }
//
// For what a backend's Features lack, the suite asserts the refusal instead.
// Start reading at [Run].
package runnertest
