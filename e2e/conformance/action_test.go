package conformance

import (
	"path/filepath"
	"strings"
	"testing"
)

// flags are how a person gives a run the secrets and config maps that it names.
func (c *cluster) flags(t *testing.T, pl *place) []string {
	if c == nil {
		return nil
	}
	t.Helper()
	var flags []string
	for flag, objects := range map[string]map[string]map[string]string{"--secret": c.Secrets, "--config-map": c.ConfigMaps} {
		for name, keys := range objects {
			dir := filepath.Join("given"+flag, name)
			for key, value := range keys {
				pl.write(t, filepath.Join(dir, key), value)
			}
			flags = append(flags, flag, name+"="+filepath.Join(pl.dir, dir))
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
