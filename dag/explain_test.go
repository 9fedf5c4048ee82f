package dag

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestExplainManyFiles asserts that what a checkout has changed, of a step that reads
// nearly everything, is told in time and file by file.
func TestExplainManyFiles(t *testing.T) {
	const files = 100_000
	before, after := map[string]string{}, map[string]string{}
	reads := []SourceRead{{Target: "/app"}}
	for i := range files {
		name := fmt.Sprintf("data/file-%05d", i)
		before[name], after[name] = "one", "two"
		if i > 0 {
			reads[0].Opened = append(reads[0].Opened, name)
		}
	}
	store := lists{files: map[string]map[string]string{"old": before, "new": after}}
	start := time.Now()
	changes := changesOfSource(t.Context(), store, "/app", "old", "new", reads)
	if took := time.Since(start); took > 4*time.Second { // twenty times what it takes: this machine may be busy
		t.Errorf("it took %s", took)
	}
	unread := 0
	for _, c := range changes {
		if c.Unread {
			unread++
		}
	}
	if len(changes) != files || unread != 1 || !changes[0].Unread {
		t.Errorf("%d changes, %d of them not read", len(changes), unread)
	}
}

// lists is a store that knows which files there were, and has none of them any more.
type lists struct {
	noArtifacts
	files map[string]map[string]string
}

func (l lists) Files(_ context.Context, digest string) (map[string]string, error) {
	return l.files[digest], nil
}
