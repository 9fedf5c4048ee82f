package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestArrows keeps dependencies pointing inwards, as docs/ARCHITECTURE.md draws
// them: what decides knows neither engines nor the database, and adapters don't
// know each other.
func TestArrows(t *testing.T) {
	const module = "github.com/wherry-ml/wherry/"
	rules := map[string][]string{ // package: what it must not reach
		"runner":         {"dag", "sqlite", "artifact", "runner/", "github.com/docker", "github.com/mattn"},
		"runner/queue":   {"dag", "sqlite", "artifact", "runner/docker", "runner/process", "github.com/docker", "github.com/mattn"},
		"runner/docker":  {"dag", "sqlite", "artifact", "runner/process", "runner/queue"},
		"runner/process": {"dag", "sqlite", "artifact", "runner/docker", "runner/queue", "github.com/docker", "github.com/mattn"},
		"artifact":       {"dag", "sqlite", "runner", "github.com/docker/docker/", "github.com/docker/go-connections/", "github.com/mattn"}, // docker login's file is read
		"bundle":         {"dag", "sqlite", "runner", "github.com/docker/docker/", "github.com/docker/go-connections/", "github.com/mattn"},
		"dag/source":     {"dag/kfp", "dag/argo", "runner", "sqlite", "artifact"},
		"dag":            {"dag/cel", "dag/kfp", "dag/argo", "sqlite", "artifact", "runner/docker", "runner/process", "github.com/docker", "github.com/mattn"},
		"dag/kfp":        {"dag/argo", "sqlite", "artifact", "runner/docker", "runner/process"},
		"dag/kfp/sdk":    {"dag", "dag/kfp", "dag/argo", "sqlite", "artifact", "runner", "runner/", "github.com/docker", "github.com/mattn"},
		"dag/cel":        {"dag", "dag/kfp", "dag/argo", "runner", "sqlite", "artifact"},
		"dag/argo":       {"dag/kfp", "sqlite", "artifact", "runner/docker", "runner/process"},
		"tuner/metrics":  {"dag", "dag/", "tuner", "tuner/suggest", "runner", "runner/", "sqlite", "artifact", "github.com/docker", "github.com/mattn"},
		"sqlite":         {"dag/kfp", "dag/argo", "artifact", "runner/docker", "runner/process", "github.com/docker"},
	}
	for pkg, forbidden := range rules {
		forbidden = append(forbidden, "dag/kfp/sdk") // it starts Python: only a command may
		out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			dep = strings.TrimPrefix(dep, module)
			for _, f := range forbidden {
				if dep == f && dep != pkg || strings.HasSuffix(f, "/") && strings.HasPrefix(dep, f) || strings.Contains(f, ".") && strings.HasPrefix(dep, f) {
					t.Errorf("%s must not depend on %s", pkg, dep)
				}
			}
		}
	}
}
