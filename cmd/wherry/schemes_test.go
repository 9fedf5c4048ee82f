package main

import (
	"slices"
	"testing"

	"github.com/wherry-ml/wherry/artifact/fetch"
	"github.com/wherry-ml/wherry/dag"
)

// TestSchemes: what importers take for something to fetch can be fetched.
func TestSchemes(t *testing.T) {
	if a, b := dag.RemoteSchemes(), fetch.Schemes(); !slices.Equal(a, b) {
		t.Errorf("dag knows %q, artifact/fetch %q", a, b)
	}
}
