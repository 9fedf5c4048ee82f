package soak

import (
	"fmt"
	"testing"
	"time"
)

// TestKillWherry kills wherry at random moments over pipelines with loops, conditions,
// an importer and, in many, a layer. Each step's name is there once and only once.
func TestKillWherry(t *testing.T) {
	c := newCampaign(t)
	took := c.undisturbed("effects.yaml", 19)
	layers := *kills >= 50 // each costs an installation
	if layers {
		c.undisturbed("effects_layer.yaml", 20)
	}
	mayKill := func() bool { return c.killed < *kills }
	for n := 0; mayKill(); n++ {
		file := "effects.yaml"
		if layers && n%5 == 0 {
			file = "effects_layer.yaml"
			dropLayers()
		}
		name := fmt.Sprintf("killed-%d", n)
		d := c.lives(file, name, max(took/2, time.Second), mayKill)
		c.same(file, name, d)
		names := c.names()
		for path, times := range names {
			if times != 1 {
				t.Errorf("run %s: step %q ran %d times", name, path, times)
			}
		}
		if want := map[string]int{"effects.yaml": 19, "effects_layer.yaml": 20}[file]; len(names) != want {
			t.Errorf("run %s: %d of %d steps ran: %v", name, len(names), want, names)
		}
		c.clean(name)
	}
	t.Logf("%d kills (%d of them of a resume) over %d runs", c.killed, c.resumes, c.runs-len(c.want))
}
