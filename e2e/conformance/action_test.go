package conformance

import (
	"strings"
	"testing"
)

// flags are how a person gives a run the secrets and config maps that it names.
func (c *cluster) flags(t *testing.T, pl *place) []string {
	if c == nil {
		return nil
	}
	t.Helper()
	return nil // until --secret is there
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
