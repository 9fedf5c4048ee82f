package soak

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/wherry-ml/wherry/e2e/harness"
)

var (
	kills       = flag.Int("kills", 10, "how often wherry is killed")
	engineKills = flag.Int("engine.kills", 1, "how often an engine is killed, which the test starts for itself (as root)")
	seed        = flag.Uint64("seed", 1, "of the random moments")
)

var wherry string // the binary under test

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if err := harness.CheckEngine(); err != nil {
		return 0, err
	}
	dir, err := harness.Build("../..")
	defer os.RemoveAll(dir)
	if err != nil {
		return 0, err
	}
	wherry = dir + "/wherry"
	return m.Run(), nil
}
