package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, func() { t.Error("waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Try(path); second != nil || err != nil {
		t.Fatalf("two have it: %v", err)
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	waits := 0
	time.AfterFunc(50*time.Millisecond, func() { cancel(stop) })
	if _, err := Lock(ctx, path, func() { waits++ }); !errors.Is(err, stop) || waits != 1 {
		t.Errorf("%v, told %d times that it waits", err, waits)
	}
	time.AfterFunc(50*time.Millisecond, unlock)
	third, err := Lock(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	third()
	if _, err := Lock(t.Context(), filepath.Join(path, "x"), nil); err == nil {
		t.Error("a file that can't be made is locked")
	}
}
