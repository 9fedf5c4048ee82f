package conformance

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// What kfp.local is known to refuse or to get wrong; each test says what the user
// gets here. Those over the shared data's own pipelines look at the runs of TestOwn.

// wantOwn checks that cases of own/ give what is expected of them.
func wantOwn(t *testing.T, names ...string) {
	t.Helper()
	t.Parallel()
	needShared(t)
	found := 0
	for _, c := range ownCases(t) {
		for _, name := range names {
			if c.name() != name {
				continue
			}
			found++
			if r, differs := ownResult(t, c); len(differs) > 0 {
				t.Errorf("%s: %s\n%s", name, strings.Join(differs, "\n"), tail(r.said))
			}
		}
	}
	if found != len(names) {
		t.Errorf("%d of the cases %v are there", found, names)
	}
}

// our is a place with a pipeline of testdata.
func our(t *testing.T, name string, p project) *place {
	t.Helper()
	t.Parallel()
	return newPlace(t, filepath.Join("testdata", name+".yaml"), p)
}

// succeed runs the place's file, which must succeed.
func (pl *place) succeed(t *testing.T, inputs map[string]any, more ...string) *run {
	t.Helper()
	r := pl.call(t, pl.runArgs(inputs, more...)...)
	if r.run == nil || r.run.State != "SUCCEEDED" || r.code != 0 {
		t.Fatalf("exit %d\n%s", r.code, tail(r.said))
	}
	return r.run
}

// wantOutput checks an output of a run.
func wantOutput(t *testing.T, r *run, name string, want any) {
	t.Helper()
	if got := r.Outputs.Parameters[name]; !same(want, got) {
		t.Errorf("output %s is %s, want %s", name, short(got), short(want))
	}
}

func TestAPipelineTakesAnArtifactAtItsTop(t *testing.T) {
	pl := our(t, "artifact_at_the_top", project{})
	file := pl.write(t, "given/data.csv", "a,b\n1,2\n")
	wantOutput(t, pl.succeed(t, map[string]any{"data": file}), "Output", "a,b\n1,2\n")
	wantOutput(t, pl.succeed(t, map[string]any{"data": "file://" + file}), "Output", "a,b\n1,2\n")
}

func TestAnArtifactComesFromWhicheverBranchRan(t *testing.T) {
	wantOwn(t, "oneof_artifacts/default", "oneof_artifacts/big")
}

func TestAStepKnowsItsRunByAllPlaceholders(t *testing.T) { wantOwn(t, "placeholders/default") }

func TestASubPipelineMayTakeArtifactsOnly(t *testing.T) {
	pl := our(t, "sub_pipelines_of_artifacts", project{})
	wantOutput(t, pl.succeed(t, nil), "Output", "handed down")
}

func TestAnOptionalInputIsNoneWhereNothingIsGiven(t *testing.T) {
	wantOwn(t, "optional_inputs/default", "optional_inputs/given", "params_types/given")
}

func TestCollectingALoopOverNothingGivesAnEmptyList(t *testing.T) {
	wantOwn(t, "collected_empty/default", "loop_dynamic/empty")
}

func TestALoopBodyUsesAnotherStepsOutputToo(t *testing.T) { wantOwn(t, "loop_dynamic/default") }

func TestIntegersStayIntegers(t *testing.T) {
	wantOwn(t, "params_fstring/default", "loop_static/default", "collected_params/default")
}

func TestCollectedOfNestedLoopsIsOneFlatList(t *testing.T) {
	wantOwn(t, "loop_nested_collected/default")
}

func TestTheItemsOfALoopAroundALoopStayApart(t *testing.T) {
	pl := our(t, "loop_around_a_loop", project{})
	wantOutput(t, pl.succeed(t, nil), "Output", "[20,200,30,300,50,500]")
}

// Texts are compared, never evaluated.
func TestConditionsOverTextThatLooksLikePython(t *testing.T) {
	branches := map[string]string{
		"condition-1": "yes", "condition-2": "True", "condition-3": "1 == 1", "condition-4": `__import__("os")`, "condition-5": `"quoted"`,
	}
	for name, text := range map[string]string{
		"a word": "yes", "true": "True", "a comparison": "1 == 1", "an import": `__import__("os")`, "quotes": `"quoted"`,
		"an injection": `x' or 'a' == 'a`, "a true one": `yes' == 'yes`, "a number": "1", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			r := our(t, "conditions_like_python", project{}).succeed(t, map[string]any{"text": text})
			for path, want := range branches {
				state := map[bool]string{true: "SUCCEEDED", false: "SKIPPED"}[text == want]
				if got := r.task(path); got == nil || got.State != state {
					t.Errorf("text %q, branch for %q: %+v, want %s", text, want, got, state)
				}
			}
		})
	}
}

func TestAContainerThatVanishesIsNoSuccess(t *testing.T) {
	pl := our(t, "vanishes", project{})
	marks := filepath.Dir(pl.write(t, "marks/first", ""))
	p := pl.start(t, pl.runArgs(nil, "-v", marks+":/marks", "--no-cache")...)
	p.until(t, func() bool { return exec.Command("test", "-e", filepath.Join(marks, "one")).Run() == nil })
	ids, err := harness.Containers(pl.home)
	if err != nil || len(ids) != 1 {
		t.Fatalf("containers %v, %v", ids, err)
	}
	if out, err := exec.Command("docker", "rm", "-f", ids[0]).CombinedOutput(); err != nil {
		t.Fatalf("docker rm: %v\n%s", err, out)
	}
	r := p.wait(t)
	if r.run == nil {
		t.Fatalf("no run: %s", tail(r.said))
	}
	switch step := r.run.task("once-slow"); {
	case step.State == "SUCCEEDED" && step.Attempts == 2 && r.code == 0: // lost, and started again
		wantOutput(t, r.run, "Output", "again")
	case step.State == "FAILED" && r.code == 1 && step.Error != "":
	default:
		t.Errorf("exit %d, %+v", r.code, step)
	}
}

func TestAFailedStepIsNeverASuccess(t *testing.T) {
	pl := our(t, "fails_at_once", project{})
	for i := range 10 {
		r := pl.call(t, pl.runArgs(nil, "--no-cache")...)
		if r.code != 1 || r.run == nil || r.run.State != "FAILED" || r.run.task("fails").ExitCode != 3 {
			t.Fatalf("run %d: exit %d\n%s", i, r.code, tail(r.said))
		}
	}
}

func TestLimitsOfAStepAreKept(t *testing.T) {
	t.Run("memory of Python steps", func(t *testing.T) { wantOwn(t, "resources/default") })
	t.Run("CPU and memory", func(t *testing.T) {
		out := our(t, "limited", project{}).succeed(t, nil).task("limits").Outputs.Parameters
		if cpu, _ := out["cpu"].(string); !regexp.MustCompile(`^50000 100000\s*$`).MatchString(cpu) {
			t.Errorf("half a CPU is %q", cpu)
		}
		if memory, _ := out["memory"].(string); strings.TrimSpace(memory) != "100663296" {
			t.Errorf("96Mi are %q", memory)
		}
	})
}

func TestBranchesRunAtTheSameTime(t *testing.T) {
	r := our(t, "branches", project{}).succeed(t, nil)
	if n := mostAtOnce([]*task{r.task("nap"), r.task("nap-2")}); n != 2 {
		t.Errorf("%d of 2 branches at the same time: %+v", n, r.Tasks)
	}
}

func TestCancelEndsAStepThatIgnoresIt(t *testing.T) { wantOwn(t, "hanging_step/cancelled") }

func TestLogsAreKept(t *testing.T) {
	pl := our(t, "speaks", project{})
	if r := pl.call(t, pl.runArgs(nil)...); r.code != 1 {
		t.Fatalf("exit %d\n%s", r.code, tail(r.said))
	}
	for _, step := range []string{"speak", "speak-2"} {
		r := pl.call(t, "logs", "last/"+step)
		if text := r.printed + r.said; !strings.Contains(text, "to stdout ü") || !strings.Contains(text, "to stderr") {
			t.Errorf("the log of %s:\n%s", step, text)
		}
	}
}

func TestFilesReachTheNextStepWhereverTheyWereWritten(t *testing.T) {
	wantOwn(t, "artifact_custom_path/default", "container_artifacts/default")
}

func TestAStepThatIgnoresFailureGetsItsDefault(t *testing.T) {
	wantOwn(t, "ignore_upstream_failure/default")
}

func TestSecretsConfigMapsAndClaimsAreThere(t *testing.T) { wantOwn(t, "kubernetes_mounts/default") }
