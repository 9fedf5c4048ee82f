package conformance

import (
	"strings"
	"testing"
)

// gift is what a person with one machine gives a pipeline that the index takes for
// one of a cluster, so that it runs here too.
type gift struct {
	cluster
	inputs map[string]any
	mount  string // a new writable folder is mounted there
}

var (
	username = cluster{Secrets: map[string]map[string]string{"user-gcp-sa": {"username": "user1"}, "test-secret-1": {"username": "user1"}}}
	psw      = cluster{Secrets: map[string]map[string]string{
		"test-secret-1": {"username": "user1"}, "test-secret-2": {"password": "psw1"}, "test-secret-3": {"password": "psw2"},
	}}
)

// gifts are given to files that are not marked as able to run. Not among them:
// create_pod_metadata_complex, whose first step compares a variable that it is not
// given (None) with "" and fails anywhere.
var gifts = map[string]gift{
	"valid/component_with_metadata_fields.yaml":                             {},
	"valid/critical/missing_kubernetes_optional_inputs.yaml":                {},
	"valid/critical/pipeline_with_pod_metadata.yaml":                        {},
	"valid/critical/pipeline_with_secret_as_env.yaml":                       {cluster: psw},
	"valid/critical/pipeline_with_volume_long_name.yaml":                    {},
	"valid/essential/placeholder_with_if_placeholder_none_input_value.yaml": {},
	"valid/input_artifact.yaml":                                             {},
	"valid/local_execution/local_execution_pipeline_with_retry.yaml":        {inputs: map[string]any{"counter_path": "/kept/counter.txt"}, mount: "/kept"},
	"valid/parallel_and_nested/nested_parallel_for_secret.yaml":             {cluster: username},
	"valid/parallel_and_nested/parallel_for_mount_pvc.yaml":                 {},
	"valid/parallel_and_nested/parallel_for_secret.yaml":                    {cluster: username},
	"valid/pipeline_with_metadata_fields.yaml":                              {},
	"valid/pipeline_with_secret_as_volume.yaml":                             {cluster: username},
	"valid/pipeline_with_volume.yaml":                                       {},
	"valid/pipeline_with_volume_no_cache.yaml":                              {},
	"valid/pvc_mount.yaml":                                                  {},
}

// TestGiven runs, beyond what the index marks, files that need no more than what a
// person can give on one machine: secrets, config maps, claims, artifacts, a folder.
// Where the index knows no state, it must be SUCCEEDED.
func TestGiven(t *testing.T) {
	needShared(t)
	n := 0
	for _, e := range index(t) {
		g, ok := gifts[e.path]
		if !ok {
			continue
		}
		n++
		t.Run(e.path, func(t *testing.T) {
			t.Parallel()
			pl := newPlace(t, e.file(), project{})
			for name, value := range g.inputs {
				e.inputs[name] = value
			}
			if e.state == "" {
				e.state = "SUCCEEDED"
			}
			more := g.flags(t, pl)
			if g.mount != "" {
				more = append(more, "-v", strings.TrimSuffix(pl.write(t, "kept/empty", ""), "/empty")+":"+g.mount)
			}
			r := pl.call(t, pl.runArgs(pl.fill(t, e.inputs), more...)...)
			e.report(t, givenSection, r, append(e.differences(r), left(pl)...))
		})
	}
	if n != len(gifts) {
		t.Errorf("%d of %d files are in the index", n, len(gifts))
	}
}
