//go:build !linux

package docker

// peer is not known here: the socket's other end is a virtual machine's proxy.
func peer(string) string { return "" }

// rootListens is false: the engine is in a virtual machine.
func rootListens(string) bool { return false }
