package katib_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/e2e/need"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/katib"
)

// shared is the folder of other people's files.
func shared(t *testing.T) string {
	t.Helper()
	return need.Shared(t, "conformance/katib")
}

// refusals are the files that can't run here, by what is said of them.
var refusals = map[string]string{
	// Its template has another parameter than it, which Katib's validator refuses too.
	"trial-template/trial-configmap-source.yaml": "${trialParameters.momentum}: there is no such trial parameter",
	"nas/darts-cpu.yaml":                         `algorithm "darts": is not to be had here`,
	"testdata/invalid-experiment.yaml":           `algorithm "invalid-algorithm": there is no such algorithm`,
}

// TestKatibFiles: every file of Katib's examples loads, or is refused by name.
func TestKatibFiles(t *testing.T) {
	dir := shared(t)
	index, err := os.Open(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	lines := bufio.NewScanner(index)
	lines.Scan()
	n := 0
	for ; lines.Scan(); n++ {
		name, _, _ := strings.Cut(lines.Text(), "\t")
		t.Run(name, func(t *testing.T) {
			e, err := load(t, dir, name)
			if want := refusals[name]; want != "" {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ".yaml") {
					t.Fatalf("%v, want %q at its place in the file", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Trial.Pipeline.Components) != 2 || len(e.Trial.Parameters) != len(e.Parameters) {
				t.Errorf("%d components, %d parameters bound of %d", len(e.Trial.Pipeline.Components), len(e.Trial.Parameters), len(e.Parameters))
			}
		})
	}
	if n < 15 {
		t.Errorf("only %d files", n)
	}
}

func load(t *testing.T, dir, name string) (*tuner.Experiment, error) {
	f, err := source.Read(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := f.Documents()
	if err != nil {
		t.Fatal(err)
	}
	if !katib.Sniff(docs[0]) {
		t.Fatal("not taken for an experiment")
	}
	e, template, err := katib.Read(f, docs[0])
	if err != nil {
		return nil, err
	}
	maps, err := source.Read(filepath.Join(dir, "trial-templates.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return e, katib.Template(e, f, template, katib.Files{ConfigMap: katib.ConfigMaps(maps)})
}
