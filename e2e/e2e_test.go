package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/wherry-ml/wherry/e2e/harness"
	"github.com/wherry-ml/wherry/e2e/need"
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
	if err := harness.CheckEngine(); err != nil {
		return 0, err // it never skips where there is nothing to test on
	}
	dir, err := harness.Build("..")
	defer os.RemoveAll(dir)
	if err != nil {
		return 0, err
	}
	binDir = dir
	return m.Run(), nil
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
			if root := os.Getuid() == 0; cond == "root" && (root || !need.InCI()) {
				return root, nil
			} else if cond == "root" {
				return false, errors.New("CI must be root: a script here is skipped for any other user")
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// setup gives a script its own home and takes away, in the end, what it left.
func setup(env *testscript.Env) error {
	shared, err := need.FindShared("")
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
	env.Defer(func() { harness.CleanUp(home) })
	return nil
}
