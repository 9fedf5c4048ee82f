package conformance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/e2e/need"
)

// TestStringsArriveAsTheyWere: Unicode, quotes and newlines in parameters of all
// kinds, environments, names, metadata and files.
func TestStringsArriveAsTheyWere(t *testing.T) {
	for name, text := range map[string]string{
		"unicode":      "ünïcödé 数据 🚣 \u200d\u202e|",
		"quotes":       `"double" 'single' ` + "`back`" + ` \ \\ \n $HOME ${X} $(id) %s`,
		"newlines":     "one\ntwo\r\nthree\n\n\ttabbed\n",
		"placeholders": `{{$.inputs.parameters['text']}} {{$}} {"IfPresent": {}} {{workflow.name}}`,
		"json":         `{"a": [1, null, "x"]}`,
		"yaml":         "- no: ~\n# comment\n%TAG !",
		"number":       "007.0",
		"spaces":       "  padded  ",
	} {
		t.Run(name, func(t *testing.T) {
			pl := our(t, "strings_of_all_kinds", project{Env: map[string]string{"PLACE": text}})
			r := pl.succeed(t, map[string]any{"text": text, "items": []any{text, nil}, "mapping": map[string]any{"key": text, text: text}})
			wantOutput(t, r, "Output", text)
			fixed := "a \"b\" 'c' $HOME ${X} `id` \\ ü数\tend"
			if got := r.task("strings").Outputs.Parameters["Output"]; got != strings.Join([]string{text, text, text, fixed}, "|") {
				t.Errorf("the step was given %q", got)
			}
			if got := r.task("echo").Outputs.Parameters["out"]; got != text {
				t.Errorf("the shell was given %q", got)
			}
		})
	}
}

// TestALoopOverManyCanBeCanceledAtOnce: 10,000 iterations, of which a few start.
func TestALoopOverManyCanBeCanceledAtOnce(t *testing.T) {
	const n, megabytes, limit = 10_000, 100, 10 * time.Second
	pl := our(t, "loop_over_many", project{})
	p := pl.start(t, pl.runArgs(map[string]any{"n": n}, "--max-parallel", "2")...)
	p.until(t, func() bool { return pl.call(t, "logs", "last/for-loop-1[0]/nap").code == 0 })
	time.Sleep(2 * time.Second) // some iterations come and go
	most := highWater(t, p.cmd.Process.Pid)
	start := time.Now()
	if r := pl.call(t, "cancel", "last"); r.code != 0 {
		t.Errorf("cancel: exit %d\n%s", r.code, r.said)
	}
	r := p.wait(t)
	took := time.Since(start)
	t.Logf("%d MB, cancelled in %.1f s", most, took.Seconds())
	if r.code != 130 || r.run == nil || r.run.State != "CANCELED" {
		t.Fatalf("exit %d\n%s", r.code, tail(r.said))
	}
	if got := len(r.run.iterations("for-loop-1")); got == 0 || got > n/10 {
		t.Errorf("%d iterations on record; a few must be, the others need no room", got)
	}
	if took > limit {
		t.Errorf("cancelled in %s", took)
	}
	if most == 0 || most > megabytes {
		t.Errorf("wherry held %d MB, limit %d", most, megabytes)
	}
	if s := r.run.started(); s < 2 || s > 200 {
		t.Errorf("%d steps started", s)
	}
	for _, l := range left(pl) {
		t.Error(l)
	}
}

// highWater is the largest resident size of a process so far, in MB.
func highWater(t *testing.T, pid int) int {
	t.Helper()
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1024
		}
	}
	return 0
}

// TestLargeOutputsAreKeptWhole: a long log and a large artifact, in full with -long.
func TestLargeOutputsAreKeptWhole(t *testing.T) {
	logMB, dataMB := 50, 200
	if *long {
		logMB, dataMB = 1024, 2048
	}
	pl := our(t, "large_outputs", project{})
	needDisk(t, pl, int64(logMB+dataMB)*3<<20)
	r := pl.succeed(t, map[string]any{"log_mb": logMB, "data_mb": dataMB})
	wantOutput(t, r, "Output", float64(dataMB<<20))
	log := pl.lengthOf(t, "logs", "last/large")
	t.Logf("a log of %d bytes", log)
	if want := int64(logMB) << 20; log < want {
		t.Errorf("the log has %d bytes, not %d", log, want)
	}
}

func needDisk(t *testing.T, pl *place, bytes int64) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(pl.dir, &s); err == nil && int64(s.Bavail)*int64(s.Bsize) > bytes {
		return
	}
	need.Missing(t, "less than %d MB free", bytes>>20)
}
