package main

import (
	"os"
	"testing"
	"time"
)

// TestLockRunOwn: a part of this process never takes the lock of a run from another,
// however long that has not beaten, and never ends the process for it.
func TestLockRunOwn(t *testing.T) {
	g := gcHome(t)
	lock, err := g.lockRun(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(g.lockPath("r"), old, old); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := g.part(nil).lockRun(t.Context(), "r"); !is[*ownedError](err) || time.Since(began) > time.Second {
		t.Errorf("%v, after %s", err, time.Since(began))
	}
	if !g.owns("r") || !g.driven("r") {
		t.Error("the first one has lost it")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := g.part(nil).lockRun(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil || g.owns("r") || g.driven("r") {
		t.Errorf("given back, and still held: %v", err)
	}
}

// TestHold: gc spares what the parts of a process bring in until the last of them has
// let go.
func TestHold(t *testing.T) {
	g := gcHome(t)
	store, err := g.artifacts()
	if err != nil {
		t.Fatal(err)
	}
	held := func() bool {
		entries, err := os.ReadDir(g.Home + "/artifacts/tmp")
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(entries) > 0
	}
	one, two := g.part(nil), g.part(nil)
	for _, p := range []*globals{one, two} {
		if err := p.hold(); err != nil {
			t.Fatal(err)
		}
	}
	if own, err := two.artifacts(); err != nil || own != store {
		t.Errorf("a part has a store of its own: %v", err)
	}
	if one.letGo(); !held() {
		t.Error("let go while the other needs it")
	}
	if two.letGo(); held() {
		t.Error("still held")
	}
}
