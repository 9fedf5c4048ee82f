package dag

import (
	"path/filepath"
	"slices"
	"testing"
)

// linked notes where links were asked for.
type linked struct {
	noArtifacts
	at []string
}

func (l *linked) Link(_, path string) error { l.at = append(l.at, path); return nil }

// TestLinkArtifactsStaysInside asserts that no step's artifact becomes a link
// outside of its run's directory, whatever its URI.
func TestLinkArtifactsStaysInside(t *testing.T) {
	home := t.TempDir()
	own := filepath.Join(home, "runs", "r1")
	var links linked
	d := &drive{Driver: &Driver{Home: home, Artifacts: &links}, run: &Run{ID: "r1"}}
	for _, uri := range []string{
		own + "/7/1/model", own + "/../../evil", own + "/../r2/7/1/model", own, home + "/runs/r11/7/1/x", "/etc/passwd", "s3://b/x",
	} {
		if err := d.linkArtifacts(Values{Artifacts: map[string][]Artifact{"a": {{URI: uri, Digest: "sha256:a"}}}}); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if want := []string{own + "/7/1/model"}; !slices.Equal(links.at, want) {
		t.Errorf("links at %q, want %q", links.at, want)
	}
}
