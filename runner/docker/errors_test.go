package docker

import (
	"testing"

	"github.com/docker/docker/api/types/container"
)

// A container that is gone is known by the kind of the engine's error, also after
// it was translated.
func TestFailedIsNotFound(t *testing.T) {
	b := withConfig(t, nil)
	e, err := b.connect.engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.ContainerCommit(t.Context(), "wherry-no-such-"+b.cfg.Home, container.CommitOptions{})
	if err = e.failed(err, "commit"); !isNotFound(err) {
		t.Errorf("%T %v", err, err)
	}
	if _, err = e.ImageInspect(t.Context(), "not a name!"); isNotFound(e.failed(err, "look")) {
		t.Errorf("%v is taken for a thing that is gone", err)
	}
}
