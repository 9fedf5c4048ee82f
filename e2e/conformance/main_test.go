package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/e2e/harness"
	"github.com/wherry-ml/wherry/e2e/need"
)

// root is the module's folder.
const root = "../.."

// wherry is the binary under test; shared the folder of shared data, "" where there
// is none.
var wherry, shared string

// long runs what sleeps for minutes as it is written, and what is large in full.
var long = flag.Bool("long", false, "full sleeps and full sizes (make soak)")

func TestMain(m *testing.M) {
	flag.Parse()
	if *long {
		patience = 15 * time.Minute
	}
	// Most of a run is waiting for the engine; -parallel wins.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("3")
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if err := harness.CheckEngine(); err != nil {
		return 0, err // it never skips where there is nothing to test on
	}
	dir, err := harness.Build(root)
	defer os.RemoveAll(dir)
	if err != nil {
		return 0, err
	}
	wherry = filepath.Join(dir, "wherry")
	shared, err = need.FindShared("")
	if err != nil {
		if need.InCI() {
			return 0, err
		}
		fmt.Fprintln(os.Stderr, "conformance: skips what needs the shared data:", err)
	}
	code := m.Run()
	table.print(os.Stdout)
	return code, nil
}

func needShared(t *testing.T) {
	t.Helper()
	need.Shared(t, "kfp/suite/index.tsv")
}
