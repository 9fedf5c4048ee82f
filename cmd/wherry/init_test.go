package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command runs a command with globals of its own, and returns what it printed.
func command(t *testing.T, env map[string]string, newCmd func(*globals) *cobra.Command, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if h := env["WHERRY_HOME"]; h != "" {
		home = h
	}
	getenv := func(name string) string {
		if value, ok := env[name]; ok {
			return value
		}
		return os.Getenv(name)
	}
	g := &globals{In: strings.NewReader(""), Out: &o, Err: &e, Output: "text", Home: home, Getenv: getenv}
	defer g.close()
	if i := slices.Index(args, "-o"); i >= 0 {
		g.Output = args[i+1]
		args = slices.Delete(args, i, i+2)
	}
	cmd := newCmd(g)
	cmd.SetArgs(args)
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	code = g.report(cmd.ExecuteContext(t.Context()))
	return o.String(), e.String(), code
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new folder")
	out, errOut, code := command(t, nil, newInitCmd, dir)
	want := dir + "/pipeline.yaml\n" + dir + "/wherry.yaml\n"
	if out != want || code != 0 || !strings.Contains(errOut, "wherry run '"+dir+"/pipeline.yaml'\n") {
		t.Fatalf("init printed %q, %q, exit %d", out, errOut, code)
	}
	if _, err := loadPipeline(filepath.Join(dir, "pipeline.yaml"), nil); err != nil {
		t.Errorf("the starter is not valid: %v", err)
	}
	if _, err := findProject(dir); err != nil {
		t.Errorf("the starter's wherry.yaml is not valid: %v", err)
	}
}

// TestInitProject: each part of wherry.yaml that is commented out is valid.
func TestInitProject(t *testing.T) {
	dir := t.TempDir()
	text, err := starter.ReadFile("starter/wherry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString(strings.TrimPrefix(line, "# "))
	}
	samples := []string{
		"images:\n  python:3.11: my.mirror/python:3.11\n",
		"build:\n  sklearn:\n    base: python:3.11\n    requirements: [scikit-learn==1.5.2]\n  mine:\n    context: ./image\n",
		"mounts:\n  - ./src:/app:ro\n  - ~/datasets:/datasets:ro,live\n  - ./out:/out\n",
		"env:\n  LOG_LEVEL: info\n", "params:\n  learning-rate: 0.1\n", "trust: ./company-ca.pem\n",
	}
	for _, s := range samples {
		if !strings.Contains(b.String(), s) {
			t.Errorf("wherry.yaml does not show\n%s", s)
		}
	}
	t.Setenv("HOME", dir)
	for _, d := range []string{"image", "src", "datasets", "out"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("image/Dockerfile", "FROM python:3.11\n")
	write("company-ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	write(projectFile, strings.Join(samples, ""))
	if _, err := findProject(dir); err != nil {
		t.Error(err)
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	for _, name := range starterFiles {
		dir := t.TempDir()
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, errOut, code := command(t, nil, newInitCmd, dir)
		if code != exitUsage || !strings.Contains(errOut, at+" exists already") {
			t.Errorf("exit %d, %q", code, errOut)
		}
		if text, _ := os.ReadFile(at); string(text) != "mine" {
			t.Errorf("%s was overwritten", at)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("init left %v", left)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := command(t, nil, newInitCmd, file); code != exitUsage {
		t.Errorf("into a file: exit %d, %q", code, errOut)
	}
}

func TestInitJSONAndSchema(t *testing.T) {
	dir := t.TempDir()
	out, errOut, code := command(t, nil, newInitCmd, dir, "-o", "json")
	var doc struct{ Files []string }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 || len(doc.Files) != 2 {
		t.Errorf("exit %d, %q, %q: %v", code, out, errOut, err)
	}
	out, _, code = command(t, nil, newInitCmd, "--schema")
	if !json.Valid([]byte(out)) || code != 0 {
		t.Errorf("--schema: exit %d, %q", code, out)
	}
}
