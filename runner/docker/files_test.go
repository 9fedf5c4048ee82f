package docker

import (
	"errors"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

// TestLiveVolume asserts that a live volume is mounted from this machine, read-only, or
// refused: never copied.
func TestLiveVolume(t *testing.T) {
	dir := t.TempDir()
	for _, bind := range []bool{true, false} {
		pl := &planner{mode: fileMode{bind: bind}}
		var f filePlan
		err := pl.addHost(&f, runner.Volume{Name: "v", Host: dir, Live: true}, runner.Mount{Volume: "v", Path: "/data", ReadOnly: true})
		e, refused := errors.AsType[*runner.UnsupportedError](err)
		switch {
		case !bind && !refused:
			t.Errorf("an engine elsewhere: got %v and %d copies", err, len(f.copies))
		case !bind && e.Field != "volumes[].live":
			t.Errorf("it was refused for %s", e.Field)
		case bind && (err != nil || len(f.mounts) != 1 || f.mounts[0].Source != dir || !f.mounts[0].ReadOnly):
			t.Errorf("an engine here: got %v, mounts %+v", err, f.mounts)
		}
	}
}
