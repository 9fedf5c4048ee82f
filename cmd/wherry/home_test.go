package main

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestHomeID: two homes of the same path, on two machines, have two ids; one that was
// there before ids were keeps its own.
func TestHomeID(t *testing.T) {
	g := &globals{Home: filepath.Join(t.TempDir(), "home")}
	bare := g.homeID()
	open := func() string {
		t.Helper()
		if _, err := g.database(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.close()
		g.opened = opened{}
		return g.homeID()
	}
	first := open()
	if first == bare || open() != first {
		t.Errorf("ids %s (of the path), %s, then %s", bare, first, g.homeID())
	}
	if err := os.RemoveAll(g.Home); err != nil {
		t.Fatal(err)
	}
	if second := open(); second == first || second == bare {
		t.Errorf("another home at the same path has the id %s too", second)
	}
	if err := os.Remove(filepath.Join(g.Home, homeIDFile)); err != nil {
		t.Fatal(err)
	}
	if old := open(); old != bare {
		t.Errorf("a home with a database and no id has %s, not its old %s", old, bare)
	}
}

// TestHomeIDAtOnce: processes that make a home at once agree.
func TestHomeIDAtOnce(t *testing.T) {
	g := &globals{Home: t.TempDir()}
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if err := g.nameHome(filepath.Join(g.Home, "wherry.db")); err != nil {
				t.Error(err)
			}
			ids[i] = g.homeID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("%q", ids)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(g.Home, ".id-*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
