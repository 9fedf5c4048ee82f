package docker

import "sync"

// keyLock lets one caller at a time work on each name.
type keyLock struct {
	mu   sync.Mutex
	held map[string]*keyed
}

type keyed struct {
	sync.Mutex
	users int
}

// lock waits for a name, and returns what gives it back.
func (l *keyLock) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyed{}
	}
	k := l.held[name]
	if k == nil {
		k = &keyed{}
		l.held[name] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, name)
		}
	}
}
