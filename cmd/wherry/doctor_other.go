//go:build !linux

package main

// checkInotify has nothing to look at: other systems have no such limits.
func (d *diagnosis) checkInotify() {
	d.add("inotify", findingOK, "", "not used on this system")
}

func networkFileSystem(string) string { return "" }
