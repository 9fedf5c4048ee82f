package queue

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

// TestExplain: what waits is told why, in the order in which it will be granted.
func TestExplain(t *testing.T) {
	rows := []Admission{
		{Pod: "a", Run: "r", Pods: 1, CPU: 3000, Granted: true},
		{Pod: "b", Run: "r", Pods: 1, CPU: 2000},
		{Pod: "c", Run: "s", Pods: 1, CPU: 1000},
		{Pod: "d", Run: "s", Pods: 1, CPU: 500, Priority: 1},
	}
	want := []Waiting{
		{"d", "s", "is next"},
		{"b", "r", "waits for 2 CPU: 3 of 4 in use by 1 pod, 0.5 kept for 1 request ahead"},
		{"c", "s", "waits for 1 CPU: 3 of 4 in use by 1 pod, 1 kept for 2 requests ahead"},
	}
	if diff := cmp.Diff(want, Explain(rows, runner.Capacity{CPU: 4000})); diff != "" {
		t.Error(diff)
	}
}
