package conformance

import (
	"path/filepath"
	"strings"
	"testing"
)

// cluster is what a run needs of one: values by key, by name.
type cluster struct {
	Secrets, ConfigMaps map[string]map[string]string
}

// flags give a run its secrets and config maps: a folder each, a file for each key.
func (c *cluster) flags(t *testing.T, pl *place) (flags []string) {
	if c == nil {
		return nil
	}
	t.Helper()
	for flag, all := range map[string]map[string]map[string]string{"--secret": c.Secrets, "--config-map": c.ConfigMaps} {
		for name, values := range all {
			dir := filepath.Join(pl.dir, "given", flag, name)
			for key, value := range values {
				pl.write(t, filepath.Join("given", flag, name, key), value)
			}
			flags = append(flags, flag, name+"="+dir)
		}
	}
	return flags
}

// cancelWhen starts a run and cancels it as soon as a task's log has a text.
func (pl *place) cancelWhen(t *testing.T, task, text string, args ...string) *result {
	t.Helper()
	p := pl.start(t, args...)
	p.until(t, func() bool {
		r := pl.call(t, "logs", "last/"+task)
		return r.code == 0 && strings.Contains(r.printed, text)
	})
	if r := pl.call(t, "cancel", "last"); r.code != 0 {
		t.Errorf("cancel: exit %d\n%s", r.code, r.said)
	}
	return p.wait(t)
}
