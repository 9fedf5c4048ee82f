package dag

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

func TestElsewhere(t *testing.T) {
	for _, tt := range []struct {
		name, output, err string
		want              []runner.Output
	}{
		{"the SDK's field", `{"artifacts": {"model": {"artifacts": [{"uri": "/u", "custom_path": "/opt/work/../m"}]}}}`, "",
			[]runner.Output{{Name: "artifact:model", Path: "/opt/m"}}},
		{"the launcher's field", `{"artifacts": {"model": {"artifacts": [{"customPath": "/m"}]}}}`, "", []runner.Output{{Name: "artifact:model", Path: "/m"}}},
		{"empty", `{"artifacts": {"model": {"artifacts": [{"custom_path": ""}]}}}`, "", nil},
		{"null", `{"artifacts": {"model": {"artifacts": [{"custom_path": null}]}}}`, "", nil},
		{"not an output", `{"artifacts": {"other": {"artifacts": [{"custom_path": "/etc/passwd"}]}}}`, "", nil},
		{"relative", `{"artifacts": {"model": {"artifacts": [{"custom_path": "m"}]}}}`,
			`artifact "model": its custom_path "m" must be absolute: os.path.abspath(...) makes it so`, nil},
		{"a number", `{"artifacts": {"model": {"artifacts": [{"custom_path": 7}]}}}`,
			`the executor output file: custom_path of artifact "model" is 7, not a text`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &collector{}
			var err error
			c.executor, err = readExecutorOutput(written(t, tt.output))
			if errorText(err) != tt.err {
				t.Fatalf("error %v, want %s", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, c.elsewhere(trainRender().podOutputs())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The artifact comes from its custom path, also where something lies at its own.
func TestDriveElsewhere(t *testing.T) {
	play(t, func(s *stage) {
		p := steps("a b<-a")
		p.Components["step"].Pod.Executor = true
		p.Components["step"].Outputs.Artifacts = map[string]*OutputArtifact{"model": {}}
		var asked []string
		s.backend.outputs = func(pod runner.Pod) map[string]string {
			for _, o := range pod.Outputs {
				asked = append(asked, o.Path)
				if o.Path == "/opt/m" {
					return map[string]string{o.Name: "elsewhere"}
				}
			}
			return map[string]string{
				outExecutor:      `{"artifacts": {"model": {"artifacts": [{"custom_path": "/opt/m"}]}}}`,
				"artifact:model": "own",
			}
		}
		s.create("r1", p)
		_, got := s.drive("r1")
		a := got["a"].Outputs.Artifacts["model"]
		if got["a"].State != Succeeded || len(a) != 1 || a[0].Digest != "sha256:elsewhere" || !strings.HasSuffix(a[0].URI, "/model") {
			s.t.Errorf("%s: %+v; asked for %q", got["a"].Error, a, asked)
		}
		s.clean()
	})
}

// written returns a file with this text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
