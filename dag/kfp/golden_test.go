package kfp_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/dag"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden prints the model of each testdata/golden/NAME.yaml and compares it
// with NAME.json.
func TestGolden(t *testing.T) {
	for _, path := range files(t, "testdata/golden") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := read(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Components {
				shorten(c)
			}
			got, err := json.MarshalIndent(p, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := strings.TrimSuffix(path, ".yaml") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("model (-want +got):\n%s", diff)
			}
		})
	}
}

// shorten cuts the SDK's programs, which TestLossless compares whole.
func shorten(c *dag.Component) {
	if c.Pod == nil {
		return
	}
	for _, a := range c.Pod.Containers[0].Command {
		if len(a.Text) == 1 && len(a.Text[0].Text) > 160 {
			a.Text[0].Text = a.Text[0].Text[:60] + "…"
		}
	}
}
