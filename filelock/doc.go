// Package filelock lets processes of one machine wait for each other. The kernel drops
// a lock with its holder, so that none is left by one that was killed.
//
//	unlock, err := filelock.Lock(ctx, path, nil)
//	…
//	unlock()
package filelock
