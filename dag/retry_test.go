package dag

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func TestRetryPolicies(t *testing.T) {
	ends := []struct {
		name string
		out  outcome
	}{
		{"error", outcome{exit: runner.Exit{Cause: runner.CauseError, Code: 1}}},
		{"oom", outcome{exit: runner.Exit{Cause: runner.CauseOOM, Code: 137}}},
		{"deadline", outcome{exit: runner.Exit{Cause: runner.CauseDeadline}}},
		{"start", outcome{exit: runner.Exit{Cause: runner.CauseStart}}},
		{"image", outcome{exit: runner.Exit{Cause: runner.CauseImage}}},
		{"evicted", outcome{exit: runner.Exit{Cause: runner.CauseEvicted}}},
		{"lost", outcome{exit: runner.Exit{Cause: runner.CauseLost}}},
		{"image look-up", outcome{err: &runner.ImageError{}}},
		{"pip", outcome{err: &imagesError{&runner.LayerError{}}}},
		{"output missing", outcome{exit: runner.Exit{Cause: runner.CauseCompleted}, err: &OutputMissingError{Name: "p"}}},
	}
	for policy, want := range map[RetryPolicy]string{
		"":                    "error oom deadline pip ",
		RetryOnFailure:        "error oom deadline pip ",
		RetryAlways:           "error oom deadline start image evicted lost image look-up pip output missing ",
		RetryOnError:          "start image evicted lost image look-up pip output missing ",
		RetryOnTransientError: "evicted lost ",
	} {
		got := ""
		for _, e := range ends {
			r := &Retry{Limit: 1, Policy: policy}
			if _, again := r.next(&Execution{}, &Attempt{Cause: e.out.exit.Cause}, e.out, time.Now()); again {
				got += e.name + " "
			}
		}
		if got != want {
			t.Errorf("policy %q retries %s, want %s", policy, got, want)
		}
	}
}

func TestRetryNext(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	failed := outcome{exit: runner.Exit{Cause: runner.CauseError, Code: 1}}
	for _, tt := range []struct {
		name  string
		retry *Retry
		want  string // the pauses, while the policy grants another attempt; at most six
	}{
		{"none", nil, ""},
		{"limit 0", &Retry{}, ""},
		{"limit", &Retry{Limit: 2}, "0s 0s "},
		{"no limit", &Retry{Limit: -1, Backoff: time.Second}, "1s 1s 1s 1s 1s 1s "},
		{"factor", &Retry{Limit: 4, Backoff: time.Second, Factor: 2}, "1s 2s 4s 8s "},
		{"small factor", &Retry{Limit: 3, Backoff: time.Second, Factor: 1.5}, "1s 1.5s 2.25s "},
		{"longest wait", &Retry{Limit: 4, Backoff: time.Second, Factor: 3, MaxBackoff: 5 * time.Second}, "1s 3s 5s 5s "},
		{"longest wait is shorter than the first", &Retry{Limit: 2, Backoff: time.Minute, MaxBackoff: time.Second}, "1s 1s "},
		{"longest time", &Retry{Limit: -1, Backoff: 10 * time.Second, MaxDuration: 40 * time.Second}, "10s 10s 10s "},
		{"longest time, to the second", &Retry{Limit: -1, Backoff: 10 * time.Second, MaxDuration: 11 * time.Second}, "10s "},
		{"no time at all", &Retry{Limit: -1, Backoff: 10 * time.Second, MaxDuration: time.Second}, ""},
	} {
		x := &Execution{Started: start}
		now, got := start, ""
		for range 6 {
			now = now.Add(time.Second) // the attempt
			pause, again := tt.retry.next(x, &Attempt{Cause: runner.CauseError}, failed, now)
			if !again {
				break
			}
			got += fmt.Sprint(pause, " ")
			x.Retries++
			now = now.Add(pause)
		}
		if got != tt.want {
			t.Errorf("%s: pauses %s, want %s", tt.name, got, tt.want)
		}
	}
	r := &Retry{Limit: -1, Backoff: time.Second, Factor: 10}
	if pause, again := r.next(&Execution{Started: start, Retries: 5000}, &Attempt{Cause: runner.CauseError}, failed, start); !again || pause != 24*time.Hour {
		t.Errorf("after 5000 retries: %s, %v; want a day", pause, again)
	}
	unsupported := outcome{err: fmt.Errorf("x: %w", &runner.UnsupportedError{})}
	if _, again := (&Retry{Limit: 1, Policy: RetryAlways}).next(&Execution{}, &Attempt{}, unsupported, start); again {
		t.Error("what the backend can't honour is tried again")
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		out   outcome
		state State
		text  string
	}{
		{outcome{exit: runner.Exit{Cause: runner.CauseCompleted}}, Succeeded, ""},
		{outcome{exit: runner.Exit{Cause: runner.CauseError, Code: 3}}, Failed, "exit code 3"},
		{outcome{exit: runner.Exit{Cause: runner.CauseError, Code: 127, Message: "no such command"}}, Failed, "exit code 127: no such command"},
		{outcome{exit: runner.Exit{Cause: runner.CauseOOM, Code: 137}}, Failed, "killed: it used more memory than its limit (exit code 137)"},
		{outcome{exit: runner.Exit{Cause: runner.CauseOOM, Code: 137, Message: "killed: more than 64Mi"}}, Failed, "killed: more than 64Mi (exit code 137)"},
		{outcome{exit: runner.Exit{Cause: runner.CauseDeadline, Code: 143}}, Failed, "stopped: it ran longer than its limit of 1m30s"},
		{outcome{exit: runner.Exit{Cause: runner.CauseLost}}, Lost, "it is gone from the engine"},
		{outcome{exit: runner.Exit{Cause: runner.CauseLost, Message: "the pod is gone"}}, Lost, "the pod is gone"},
		{outcome{exit: runner.Exit{Cause: runner.CauseStart, Message: "exec: no such file"}}, Failed, "exec: no such file"},
		{outcome{exit: runner.Exit{Cause: runner.CauseEvicted}}, Failed, "evicted"},
		{outcome{exit: runner.Exit{Cause: runner.CauseCompleted}, err: &OutputMissingError{Name: "p", Tried: []string{"a", "b"}}}, Failed,
			`the step ended well but did not write its output parameter "p" (looked for a, b); try: return a value from the component, or write the file that the output's placeholder names`},
		{outcome{err: errors.New("no space")}, Failed, "no space"},
		{outcome{err: fmt.Errorf("start: %w", &runner.ImageError{Image: "x", Err: errors.New("not found")})}, Failed, `start: image "x" can't be had: not found`},
	} {
		state, text := judge(tt.out, 90*time.Second)
		if state != tt.state || text != tt.text {
			t.Errorf("%+v: got %s %s\nwant %s %s", tt.out, state, text, tt.state, tt.text)
		}
	}
}
