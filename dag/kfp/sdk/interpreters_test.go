package sdk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakePython is a Python that answers a compile with this reply, and does nothing else.
func fakePython(reply string) string {
	return "#!/bin/sh\ncase $2 in *compile_file*) printf '%s' '" + reply + "' ;; esac\n"
}

func has(name string) string {
	return fakePython(`{"kind": "ok", "name": "` + name + `", "ir": "a: 1"}`)
}

const hasNot = `{"kind": "no-kfp"}`

// onlyPath makes dir all of PATH, with what a script needs.
func onlyPath(t *testing.T, dir string) {
	t.Helper()
	for _, tool := range []string{"sh", "mkdir", "cp", "sleep", "rm", "cat"} {
		for _, bin := range []string{"/bin", "/usr/bin"} {
			if _, err := os.Stat(filepath.Join(bin, tool)); err == nil {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				_ = os.Symlink(filepath.Join(bin, tool), filepath.Join(dir, tool))
				break
			}
		}
	}
	t.Setenv("PATH", dir)
}

// TestInterpreters takes the best Python away, one after another.
func TestInterpreters(t *testing.T) {
	dir := write(t, map[string]string{
		"repo/.git/config": "", "repo/flows/deep/f.py": "x = 1\n",
		"active/bin/python":                has("active"),
		"repo/flows/deep/.venv/bin/python": has("beside"), "repo/flows/venv/bin/python": has("above"), "repo/.venv/bin/python": has("root"),
		".venv/bin/python": has("outside the project"),
		"path/python3":     has("path"),
		"path/uv":          strings.Replace(has("uv"), "$2", "\"$*\"", 1),
	})
	onlyPath(t, filepath.Join(dir, "path"))
	file := filepath.Join(dir, "repo/flows/deep/f.py")
	for _, next := range []struct{ name, gone string }{
		{"active", "active"}, {"beside", "repo/flows/deep/.venv"}, {"above", "repo/flows/venv"}, {"root", "repo/.venv"}, {"path", "path/python3"}, {"uv", "path/uv"},
	} {
		o, s := options(t, file, "")
		if _, err := os.Stat(filepath.Join(dir, "active")); err == nil {
			o, s = options(t, file, filepath.Join(dir, "active"))
		}
		c, err := Compile(t.Context(), o)
		if err != nil || c.Name != next.name || len(s.notes) > 0 {
			t.Fatalf("got %+v, %v, notes %q; want %s", c, err, s.notes, next.name)
		}
		if err := os.RemoveAll(filepath.Join(dir, next.gone)); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := options(t, file, "")
	_, err := Compile(t.Context(), o)
	wantError(t, err, filepath.Dir(file), "f.py", "there is no python3 here", "install Python 3")
}

// TestInterpretersWithout says so where the Python that a person chose has no kfp.
func TestInterpretersWithout(t *testing.T) {
	dir := write(t, map[string]string{"f.py": "x = 1\n", "active/bin/python": fakePython(hasNot), "venv/bin/python": has("beside")})
	o, s := options(t, filepath.Join(dir, "f.py"), filepath.Join(dir, "active"))
	var details []string
	o.Detail = func(text string) { details = append(details, text) }
	c, err := Compile(t.Context(), o)
	if err != nil || c.Name != "beside" || len(s.notes) != 1 || !strings.Contains(s.notes[0], "/active has no kfp; compiling with the virtualenv ") {
		t.Errorf("%+v, %v, notes %q", c, err, s.notes)
	}
	if len(details) != 2 || !strings.Contains(details[1], "f.py is read with kfp") {
		t.Errorf("details %q, want which Python it was", details)
	}
	o, s = options(t, filepath.Join(dir, "f.py"), filepath.Join(dir, "gone"))
	if c, err = Compile(t.Context(), o); err != nil || c.Name != "beside" || len(s.notes) != 1 || !strings.Contains(s.notes[0], "no bin/python") {
		t.Errorf("%+v, %v, notes %q", c, err, s.notes)
	}
}

func TestInterpretersOtherKFP(t *testing.T) {
	for _, tt := range []struct{ reply, msg, mend string }{
		{`{"kind": "old-kfp", "kfp": "1.8.22"}`, "kfp 1.8.22 is of the first generation", "uv pip install --python "},
		{`{"kind": "broken-kfp", "message": "ImportError: protobuf"}`, "kfp can't be imported: ImportError: protobuf", "'kfp>=2'"},
		{``, "ended without a result", "os._exit"},
		{`{"kind": "ok", "ir": "` + strings.Repeat("x", 100_000) + `"`, "ended without a result", "os._exit"},
	} {
		dir := write(t, map[string]string{"f.py": "x = 1\n", ".venv/bin/python": fakePython(tt.reply)})
		o, _ := options(t, filepath.Join(dir, "f.py"), "")
		_, err := Compile(t.Context(), o)
		wantError(t, err, dir, "f.py", tt.msg, tt.mend)
	}
}

// fakeVenv is a python3 without kfp that makes virtualenvs whose pip leaves a line in $LOG.
const fakeVenv = `#!/bin/sh
case "$*" in
*compile_file*) case $0 in */bin/python) printf '{"kind": "ok", "name": "cached", "ir": "a: 1"}' ;; *) printf '{"kind": "no-kfp"}' ;; esac ;;
"-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*pip\ install*) echo "$*" >>"$LOG"; sleep 0.3; [ -z "$OFFLINE" ] || { echo "Looking"; echo "ERROR: no network"; exit 1; } >&2 ;;
*) echo 3.11 ;;
esac
`

func TestCachedOnce(t *testing.T) {
	dir := write(t, map[string]string{"f.py": "x = 1\n", "path/python3": fakeVenv})
	onlyPath(t, filepath.Join(dir, "path"))
	log := filepath.Join(dir, "log")
	t.Setenv("LOG", log)
	home := filepath.Join(dir, "home")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			o, _ := options(t, filepath.Join(dir, "f.py"), "")
			o.Home, o.Note = home, func(string) {}
			if c, err := Compile(t.Context(), o); err != nil || c.Name != "cached" || !strings.Contains(c.With, home) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	wg.Wait()
	if got := string(read(t, log)); strings.Count(got, "\n") != 1 || !strings.Contains(got, "kfp=="+Version) {
		t.Errorf("pip was called with\n%s\nwant one call", got)
	}
	o, s := options(t, filepath.Join(dir, "f.py"), "")
	o.Home = home
	if _, err := Compile(t.Context(), o); err != nil || len(s.notes) > 0 {
		t.Errorf("once more: %v, notes %q", err, s.notes)
	}
}

func TestCachedOffline(t *testing.T) {
	dir := write(t, map[string]string{"f.py": "x = 1\n", "path/python3": fakeVenv})
	onlyPath(t, filepath.Join(dir, "path"))
	t.Setenv("LOG", filepath.Join(dir, "log"))
	t.Setenv("OFFLINE", "1")
	o, s := options(t, filepath.Join(dir, "f.py"), "")
	_, err := Compile(t.Context(), o)
	wantError(t, err, dir, "f.py", "no Python here has kfp, and pip could not get it:\n  Looking\n  ERROR: no network", "connect to a network once")
	if !slices.ContainsFunc(s.notes, func(n string) bool { return strings.Contains(n, "getting kfp "+Version) }) {
		t.Errorf("notes %q, want what is being done", s.notes)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Home, "sdk", "*", "bin")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	t.Setenv("OFFLINE", "") // and then it works
	if c, err := Compile(t.Context(), o); err != nil || c.Name != "cached" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCachedCanceled(t *testing.T) {
	dir := write(t, map[string]string{"f.py": "x = 1\n", "path/python3": strings.Replace(fakeVenv, "sleep 0.3", "sleep 600", 1)})
	onlyPath(t, filepath.Join(dir, "path"))
	t.Setenv("LOG", filepath.Join(dir, "log"))
	o, _ := options(t, filepath.Join(dir, "f.py"), "")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Compile(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline's", err)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Home, "sdk", "*", "bin")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
