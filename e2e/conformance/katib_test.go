package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// katibRefused are the files of Katib's examples that can't run, by what is said.
var katibRefused = map[string]string{
	// Its template has another parameter than it: Katib's own validator refuses it.
	"trial-template/trial-configmap-source.yaml": "there is no such trial parameter",
	"nas/darts-cpu.yaml":                         `algorithm "darts"`,
	"testdata/invalid-experiment.yaml":           `algorithm "invalid-algorithm"`,
}

// katibImages stand for the images of the examples: all run testdata/katib_trial.py.
var katibImages = []string{"pytorch-mnist-cpu:latest", "tf-mnist-with-summaries:latest", "simple-pbt:latest"}

var katibScripts = []string{"/opt/pytorch-mnist/mnist.py", "/opt/tf-mnist-with-summaries/mnist.py", "/opt/pbt/pbt_test.py"}

// experiment is what tune -o json prints.
type experiment struct {
	State, Reason string
	Objective     struct {
		Type, ObjectiveMetricName string
		Goal                      *float64
	}
	Optimal *struct {
		Parameters  map[string]string
		Observation struct {
			Metrics []struct{ Name, Latest, Min, Max string }
		}
	}
	Trials []struct{ Name, State, Reason string }
}

// TestKatib runs each file of Katib's examples that needs no more than containers,
// with the counts of Katib's own end-to-end test and its checks.
func TestKatib(t *testing.T) {
	needShared(t)
	dir := filepath.Join(shared, "conformance", "katib")
	text, err := os.ReadFile(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		name, _, _ := strings.Cut(line, "\t")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pl := katibPlace(t, filepath.Join(dir, name))
			maxTrials, parallel := 2, 1
			if name == "hp-tuning/random.yaml" {
				maxTrials, parallel = 3, 2
			}
			args := []string{"--max-failed", "0", "-o", "json"}
			if want := katibRefused[name]; want != "" {
				args = append(args, "--trial", filepath.Join(dir, "trial-templates.yaml"))
				if !strings.HasPrefix(name, "trial-template/") {
					args = args[:4]
				}
				r := pl.tune(t, 2, 1, args...)
				if r.code != 2 || !strings.Contains(r.said, want) || !strings.Contains(r.said, ".yaml:") {
					t.Errorf("exit code %d, want 2 and %q at its place:\n%s", r.code, want, r.said)
				}
				return
			}
			checkKatib(t, pl.tune(t, maxTrials, parallel, args...), maxTrials)
			if name == "resume-experiment/from-volume-resume.yaml" {
				checkKatib(t, pl.tune(t, maxTrials+1, parallel+1, append(args, "--resume")...), maxTrials+1)
			}
			for _, what := range left(pl) {
				t.Error(what)
			}
		})
	}
}

// katibPlace is a place for one of the examples.
func katibPlace(t *testing.T, file string) *place {
	p := project{Images: map[string]string{}}
	for _, image := range katibImages {
		p.Images["ghcr.io/kubeflow/katib/"+image] = "python:3.11-slim"
	}
	for _, path := range katibScripts {
		p.Mounts = append(p.Mounts, "./katib_trial.py:"+path+":ro")
	}
	pl := newPlace(t, file, p)
	script, err := os.ReadFile(filepath.Join("testdata", "katib_trial.py"))
	if err != nil {
		t.Fatal(err)
	}
	pl.write(t, "katib_trial.py", string(script))
	return pl
}

func (pl *place) tune(t *testing.T, maxTrials, parallel int, args ...string) *result {
	t.Helper()
	return pl.call(t, append([]string{"tune", pl.file, "--max-trials", strconv.Itoa(maxTrials), "--parallel", strconv.Itoa(parallel)}, args...)...)
}

// checkKatib makes the checks of Katib's end-to-end test.
func checkKatib(t *testing.T, r *result, maxTrials int) {
	t.Helper()
	var document struct{ Experiment experiment }
	if err := json.Unmarshal([]byte(r.printed), &document); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.printed, r.said)
	}
	e := document.Experiment
	if e.State != "Succeeded" || e.Optimal == nil || len(e.Optimal.Observation.Metrics) == 0 || len(e.Optimal.Parameters) == 0 {
		t.Fatalf("%+v", e)
	}
	best := e.Optimal.Observation.Metrics[0]
	if best.Name != e.Objective.ObjectiveMetricName {
		t.Errorf("the optimal trial has no %s: %+v", e.Objective.ObjectiveMetricName, best)
	}
	done := 0
	for _, trial := range e.Trials {
		if trial.State == "Succeeded" || trial.State == "EarlyStopped" {
			done++
		}
	}
	switch e.Reason {
	case "ExperimentMaxTrialsReached":
		if done != maxTrials {
			t.Errorf("%d trials ended well, want %d: %+v", done, maxTrials, e.Trials)
		}
	case "ExperimentGoalReached":
		text := best.Max
		if e.Objective.Type == "minimize" {
			text = best.Min
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || (value < *e.Objective.Goal) == (e.Objective.Type == "maximize") {
			t.Errorf("goal %v reached by %s", *e.Objective.Goal, text)
		}
	default:
		t.Errorf("reason %q", e.Reason)
	}
}
