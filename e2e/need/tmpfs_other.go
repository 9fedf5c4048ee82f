//go:build !linux

package need

import "testing"

// Tmpfs makes a small disk on Linux only.
func Tmpfs(t testing.TB, _ string) string {
	t.Helper()
	t.Skip("a small disk is made on Linux only")
	return ""
}
