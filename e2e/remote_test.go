package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wherry-ml/wherry/artifact/fetch/fetchtest"
)

// TestRemote runs the scripts that import from elsewhere. Each has its own servers,
// all with the same data; stop_servers ends them.
func TestRemote(t *testing.T) {
	data := map[string]string{"train.csv": "1,2,3\n", "model/config.json": "{}", "model/sub/weights": "www"}
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"stop_servers": func(ts *testscript.TestScript, _ bool, _ []string) {
			for _, s := range ts.Value(servers{}).([]fetchtest.Server) {
				s.Stop()
			}
		},
	}
	for name, cmd := range commands {
		cmds[name] = cmd
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/remote", WorkdirRoot: t.TempDir(), RequireExplicitExec: true, RequireUniqueNames: true, Cmds: cmds,
		Setup: func(env *testscript.Env) error {
			if err := setup(env); err != nil {
				return err
			}
			dir := t.TempDir()
			for name, text := range data {
				at := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
					return err
				}
			}
			s3, gs, web, registry := fetchtest.S3(t, "data", data), fetchtest.GS(t, "data", data), fetchtest.HTTP(t, dir), fetchtest.Registry(t)
			fetchtest.Push(t, registry, "org/car:v1", fetchtest.Layer{fetchtest.File("models/config.json", "{}"), fetchtest.File("models/sub/weights", "www")})
			slow := slowServer(t)
			env.Vars = append(env.Vars, "SLOW="+slow, "S3="+s3.URL, "GS="+gs.URL, "WEB="+web.URL, "REGISTRY="+registry.Host(), "WEBDIR="+dir,
				"AWS_ENDPOINT_URL="+s3.URL, "AWS_ACCESS_KEY_ID="+fetchtest.Key, "AWS_SECRET_ACCESS_KEY="+fetchtest.Secret, "AWS_EC2_METADATA_DISABLED=true",
				"MINIO_ENDPOINT="+s3.Host(), "STORAGE_EMULATOR_HOST="+gs.Host())
			env.Values[variables{}] = env.Vars
			env.Values[servers{}] = []fetchtest.Server{s3, gs, web, registry}
			return nil
		},
	})
}

// slowServer serves the first half of a file, and then nothing.
func slowServer(t *testing.T) string {
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000000")
		_, _ = w.Write(make([]byte, 1_000_000))
		w.(http.Flusher).Flush()
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		close(done)
		s.Close()
	})
	return s.URL
}

// servers is the key of a script's servers.
type servers struct{}
