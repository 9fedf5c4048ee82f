package main

import (
	"os"
	"os/signal"
	"syscall"
)

// goOnUnread lets a run go on where nobody reads its progress any more, as in
// `wherry run FILE 2>&1 | head`, until the returned function is called: else the kernel
// would end its driver in the middle. Its steps are not concerned: a signal that is
// caught is not caught in a new program.
func goOnUnread() (asBefore func()) {
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGPIPE)
	return func() { signal.Stop(closed) }
}
