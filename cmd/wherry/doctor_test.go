package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner/docker"
)

// doctorSays runs doctor in a folder with a wherry.yaml, and returns the
// findings by check and how it ended.
func doctorSays(t *testing.T, project string, env map[string]string) (map[string]finding, int) {
	t.Helper()
	if project != "" {
		if err := os.WriteFile(projectFile, []byte(project), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, errOut, code := command(t, env, newDoctorCmd, "-o", "json")
	var doc struct {
		Status   string
		Findings []finding
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("doctor printed %q, %q: %v", out, errOut, err)
	}
	found := map[string]finding{}
	for _, f := range doc.Findings {
		if found[f.Check].Status != findingFail {
			found[f.Check] = f
		}
		if f.Status != findingOK && f.Mend == "" && f.Check != "engine" {
			t.Errorf("%+v has no mend", f)
		}
	}
	return found, code
}

func wantFinding(t *testing.T, f finding, status, text string) {
	t.Helper()
	if f.Status != status || !strings.Contains(f.Message+"\n"+f.Mend, text) {
		t.Errorf("%+v, want %s with %q", f, status, text)
	}
}

func TestDoctorWithoutEngine(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///nowhere.sock") // read by the backend itself
	found, code := doctorSays(t, "", nil)
	if code != exitBackend {
		t.Errorf("exit %d, want %d", code, exitBackend)
	}
	wantFinding(t, found["engine"], findingFail, "unix:///nowhere.sock")
	wantFinding(t, found["permissions"], findingOK, "is yours")
}

func TestDoctorProjectAndHome(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///nowhere.sock")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	found, code := doctorSays(t, "mountz: []\n", map[string]string{"WHERRY_HOME": filepath.Join(file, "home")})
	if code != exitFailed {
		t.Errorf("exit %d, want %d", code, exitFailed)
	}
	wantFinding(t, found[projectFile], findingFail, `did you mean "mounts"?`)
	wantFinding(t, found["permissions"], findingFail, "set WHERRY_HOME to a folder of yours")
	wantFinding(t, found["engine"], findingWarn, "not checked")
	if _, _, code := command(t, nil, newDoctorCmd, "--backend", "boat"); code != exitUsage {
		t.Errorf("unknown backend: exit %d, want %d", code, exitUsage)
	}
}

func TestDoctorProxies(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///nowhere.sock")
	none := map[string]string{}
	for _, name := range proxyNames {
		none[name] = ""
	}
	with := func(config string, env ...string) map[string]string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{"DOCKER_CONFIG": dir}
		for name := range none {
			all[name] = ""
		}
		for i := 0; i < len(env); i += 2 {
			all[env[i]] = env[i+1]
		}
		return all
	}
	for _, c := range []struct {
		name, status, text string
		env                map[string]string
	}{
		{"none", findingOK, "none", with("{}")},
		{"only here", findingWarn, "HTTPS_PROXY=http://me:xxxxx@proxy:8080 is set here", with("{}", "HTTPS_PROXY", "http://me:secret@proxy:8080")},
		{"given", findingOK, "containers get those", with(`{"proxies":{"default":{"httpProxy":"http://proxy:8080"}}}`, "HTTP_PROXY", "http://proxy:8080")},
		{"loopback", findingWarn, "the container itself", with(`{"proxies":{"default":{"httpProxy":"http://127.0.0.1:8080"}}}`)},
		{"broken", findingOK, "none", with("not JSON")},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, _ := doctorSays(t, "", c.env)
			wantFinding(t, found["proxies"], c.status, c.text)
		})
	}
}

// TestDoctorOnEngine needs a real engine with python:3.11.
func TestDoctorOnEngine(t *testing.T) {
	b := docker.New(docker.Config{Home: "test", Dir: t.TempDir()})
	err := b.Ping(t.Context())
	b.Close()
	if err != nil {
		t.Fatalf("%v (scripts/engine.sh starts one)", err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, d := range []string{"data", "src"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("one.txt", []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, code := doctorSays(t, "mounts:\n  - ./data:/data\n  - ./src:/src:ro\n  - ./one.txt:/one.txt\n", nil)
	if found["base image"].Status == findingWarn {
		t.Fatalf("%s (scripts/base-image.sh makes it)", found["base image"].Message)
	}
	if code != exitOK {
		t.Errorf("exit %d: %+v", code, found)
	}
	wantFinding(t, found["home seen"], findingOK, "a container sees")
	wantFinding(t, found["mount seen"], findingOK, "/one.txt")
	wantFinding(t, found["mount"], findingOK, "/src is yours to read")
	if left, _ := os.ReadDir("data"); len(left) != 0 {
		t.Errorf("the probe left %v", left)
	}

	// An image that does not exist here, through an alias.
	found, code = doctorSays(t, "images:\n  python:3.11: no.such/image:1\n", nil)
	wantFinding(t, found["base image"], findingWarn, "docker pull no.such/image:1")
	if code != exitOK {
		t.Errorf("exit %d, want 0", code)
	}
}
