package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wherry-ml/wherry/runner"
)

// binDir holds the binary under test.
var binDir string

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of a script is waiting for the engine; -parallel wins.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("4")
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if err := checkEngine(); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "wherry-e2e-bin")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// An ordinary user runs it too, see run_as_user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "wherry"), "../cmd/wherry")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build wherry: %w", err)
	}
	binDir = dir
	return m.Run(), nil
}

// checkEngine fails, and never skips, where there is nothing to test on.
func checkEngine() error {
	const mend = "`make test` sets it up"
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("no Docker engine answers; %s\n%s", mend, out)
	}
	for _, image := range []string{"python:3.11", "wherry-test/busybox"} {
		if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
			return fmt.Errorf("the engine has no image %s; %s", image, mend)
		}
	}
	return nil
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         t.TempDir(), // else empty folders stay behind
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds:                commands,
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// setup gives a script its own home and takes away, in the end, what it left.
func setup(env *testscript.Env) error {
	shared, err := sharedDir()
	if err != nil {
		return err
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	for _, v := range os.Environ() { // what a step or an image build may need on this machine
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PIP_") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") ||
			strings.HasPrefix(name, "DOCKER_") || strings.HasPrefix(name, "SSL_CERT") {
			env.Vars = append(env.Vars, v)
		}
	}
	env.Vars = append(env.Vars,
		"PATH="+binDir+string(os.PathListSeparator)+os.Getenv("PATH"),
		"HOME="+env.WorkDir, "WHERRY_HOME="+home, "WHERRY_SHARED="+shared, "DOCKER_HOST_REAL="+os.Getenv("DOCKER_HOST"), "PROJECT="+root, "NO_COLOR=1", "COLUMNS=200", "LC_ALL=C.UTF-8",
	)
	env.Values[variables{}] = slices.Clone(env.Vars)
	env.Values[processes{}] = map[string]*process{}
	env.Defer(func() { cleanUp(home) })
	return nil
}

// sharedDir is where the texts lie that the projects share: the seed files.
func sharedDir() (string, error) {
	dir := os.Getenv("WHERRY_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(abs, "conformance", "seed")); err != nil {
		return "", fmt.Errorf("the article's seed files: %w; set WHERRY_SHARED", err)
	}
	return abs, nil
}

// homeID is the short id of a home that wherry puts into names and labels.
func homeID(home string) string {
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	sum := sha256.Sum256([]byte(home))
	return hex.EncodeToString(sum[:])[:8]
}

// cleanUp ends what runs for a home, on this machine and on the engine.
func cleanUp(home string) {
	for _, pid := range processesOf(home) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if ids, err := containersOf(home); err == nil && len(ids) > 0 {
		_ = exec.Command("docker", append([]string{"rm", "-fv"}, ids...)...).Run()
	}
	if names, err := volumesOf(home); err == nil && len(names) > 0 {
		_ = exec.Command("docker", append([]string{"volume", "rm", "-f"}, names...)...).Run()
	}
}

// processesOf lists the processes that were given this home: detached drivers,
// supervisors and their steps.
func processesOf(home string) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains("\x00"+string(environ), "\x00WHERRY_HOME="+home+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// containersOf lists the containers that a home owns, running or not.
func containersOf(home string) ([]string, error) {
	out, err := exec.Command("docker", "ps", "-aq", "--filter", "label="+runner.LabelHome+"="+homeID(home)).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("docker ps: %w: %s", err, e.Stderr)
	}
	return strings.Fields(string(out)), err
}
