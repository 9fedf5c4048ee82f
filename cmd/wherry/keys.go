package main

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// readKeys yields the keys that are pressed, without waiting for Enter, where a person
// sits at a terminal; else nil. Ctrl-C stays a signal. The caller calls restore.
func (g *globals) readKeys(ctx context.Context) (keys <-chan byte, restore func()) {
	in, isFile := g.In.(*os.File)
	out, errIsFile := g.Err.(*os.File)
	if !isFile || !errIsFile || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) || inBackground(in) {
		return nil, func() {}
	}
	before, err := unix.IoctlGetTermios(int(in.Fd()), getTermios)
	if err != nil {
		return nil, func() {}
	}
	now := *before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(in.Fd()), setTermios, &now); err != nil {
		return nil, func() {}
	}
	pressed := make(chan byte)
	go func() { // it ends with the process: nothing can end its read
		buf := make([]byte, 1)
		for {
			if n, err := in.Read(buf); n == 0 || err != nil {
				return
			}
			select {
			case pressed <- buf[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return pressed, func() { _ = unix.IoctlSetTermios(int(in.Fd()), setTermios, before) }
}

// inBackground reports whether a shell runs us in the background, where touching the
// terminal would stop us.
func inBackground(tty *os.File) bool {
	front, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && front != unix.Getpgrp()
}
