//go:build !linux

package process

import "testing"

func smallDisk(t testing.TB) string {
	t.Helper()
	t.Skip("a small disk is made on Linux only")
	return ""
}
