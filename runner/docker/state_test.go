package docker

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is a moment, in seconds after the pod's start.
func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func exited(name string, code int, end float64) unit {
	return unit{id: name, name: name, role: roleMain, status: "exited", code: code, started: t0, ended: at(end), labels: map[string]string{}}
}

// TestExit tells the causes apart, from what the engine shows alone.
func TestExit(t *testing.T) {
	with := func(u unit, f func(*unit)) unit { f(&u); return u }
	limited := func(u unit) unit {
		return with(u, func(u *unit) { u.labels = map[string]string{labelDeadline: "10s", labelInstance: "life-1"} })
	}
	for name, c := range map[string]struct {
		unit  unit
		facts facts
		want  runner.Cause
	}{
		"well":                              {exited("m", 0, 1), facts{}, runner.CauseCompleted},
		"error":                             {exited("m", 1, 1), facts{}, runner.CauseError},
		"oom":                               {with(exited("m", 137, 1), func(u *unit) { u.oom = true }), facts{}, runner.CauseOOM},
		"a child oom":                       {with(exited("m", 0, 1), func(u *unit) { u.oom = true }), facts{}, runner.CauseCompleted},
		"stopped":                           {exited("m", 143, 5), facts{stopped: at(4)}, runner.CauseStopped},
		"stopped, well":                     {exited("m", 0, 5), facts{stopped: at(4)}, runner.CauseStopped},
		"ended before the stop":             {exited("m", 0, 3), facts{stopped: at(4)}, runner.CauseCompleted},
		"failed before the stop":            {exited("m", 2, 3), facts{stopped: at(4)}, runner.CauseError},
		"in time":                           {limited(exited("m", 1, 9.9)), facts{}, runner.CauseError},
		"deadline":                          {limited(exited("m", 143, 10.1)), facts{}, runner.CauseDeadline},
		"deadline, well":                    {limited(exited("m", 0, 10.1)), facts{}, runner.CauseDeadline},
		"engine restarted":                  {limited(exited("m", 143, 5)), facts{life: "life-2"}, runner.CauseLost},
		"engine restarted, over the night":  {limited(exited("m", 143, 5000)), facts{life: "life-2"}, runner.CauseLost},
		"engine restarted, ended well":      {limited(exited("m", 0, 5)), facts{life: "life-2"}, runner.CauseCompleted},
		"engine not known":                  {limited(exited("m", 1, 5)), facts{}, runner.CauseError},
		"no command":                        {unit{name: "m", role: roleMain, status: "created", code: 127, err: "exec: not found"}, facts{}, runner.CauseStart},
		"engine killed while it started it": {with(limited(exited("m", 128, 0)), func(u *unit) { u.status, u.err = "created", "task 222d: already exists" }), facts{life: "life-2"}, runner.CauseLost},
		"no command, same engine":           {with(limited(exited("m", 127, 0)), func(u *unit) { u.status, u.err = "created", "exec: not found" }), facts{life: "life-1"}, runner.CauseStart},
		"dead":                              {with(exited("m", 137, 1), func(u *unit) { u.status = "dead" }), facts{}, runner.CauseLost},
		"never begun, stopped":              {unit{name: "m", role: roleMain, status: "created"}, facts{stopped: at(1)}, runner.CauseStopped},
	} {
		c.facts.now = at(6000)
		s := newView([]unit{c.unit}, c.facts).status("p")
		if s.Phase != runner.PhaseEnded || s.Exit.Cause != c.want || s.Exit.Code != c.unit.code || s.Exit.Container != "m" {
			t.Errorf("%s: %+v, want %s", name, s, c.want)
		}
	}
}

// multi is a view of a pod with a running holder.
func multi(f facts, units ...unit) view {
	n := map[string]string{labelMulti: "true", labelCount: string(rune('0' + len(units)))}
	for i := range units {
		units[i].order, units[i].labels = i, n
	}
	f.now = at(1)
	return newView(append(units, unit{role: roleHolder, id: "holder", status: "running", started: t0, labels: n}), f)
}

func (s step) String() string {
	out := ""
	for _, u := range s.start {
		out += " start " + u.id
	}
	for _, u := range s.stop {
		out += " stop " + u.id
	}
	if s.done {
		out += " done"
	}
	return strings.TrimSpace(out)
}

// TestNext plans what a supervisor does, for each state in which it may find a
// pod after a crash.
func TestNext(t *testing.T) {
	unitIn := func(name, role, status string, after ...string) unit {
		u := unit{id: name, name: name, role: role, status: status, after: after, started: t0}
		if status == "exited" {
			u.ended = at(0.5)
		}
		return u
	}
	bad := func(u unit) unit { u.code = 1; return u }
	for name, c := range map[string]struct {
		view view
		want string
	}{
		"inits come first":            {multi(facts{}, unitIn("i", roleInit, "created"), unitIn("j", roleInit, "created"), unitIn("s", roleSidecar, "created"), unitIn("m", roleMain, "created")), "start i"},
		"one after the other":         {multi(facts{}, unitIn("i", roleInit, "running"), unitIn("j", roleInit, "created"), unitIn("m", roleMain, "created")), ""},
		"then sidecars and mains":     {multi(facts{}, unitIn("i", roleInit, "exited"), unitIn("s", roleSidecar, "created"), unitIn("m", roleMain, "created")), "start s start m"},
		"an init failed":              {multi(facts{}, bad(unitIn("i", roleInit, "exited")), unitIn("m", roleMain, "created")), "stop holder"},
		"mains in order":              {multi(facts{}, unitIn("a", roleMain, "running"), unitIn("b", roleMain, "created", "a"), unitIn("c", roleMain, "created")), "start c"},
		"the next one":                {multi(facts{}, unitIn("a", roleMain, "exited"), unitIn("b", roleMain, "created", "a")), "start b"},
		"not after one that failed":   {multi(facts{}, bad(unitIn("a", roleMain, "exited")), unitIn("b", roleMain, "created", "a")), "stop holder"},
		"but beside it":               {multi(facts{}, bad(unitIn("a", roleMain, "exited")), unitIn("b", roleMain, "created", "a"), unitIn("c", roleMain, "created")), "start c"},
		"sidecars end with the mains": {multi(facts{}, unitIn("a", roleMain, "exited"), unitIn("s", roleSidecar, "running")), "stop s"},
		"then the holder":             {multi(facts{}, unitIn("a", roleMain, "exited"), unitIn("s", roleSidecar, "exited")), "stop holder"},
		"stop: nothing more starts":   {multi(facts{stopped: at(0.9)}, unitIn("a", roleMain, "running"), unitIn("b", roleMain, "created")), "stop a"},
	} {
		if got := c.view.next().String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	gone := multi(facts{}, unitIn("a", roleMain, "exited"), unitIn("b", roleMain, "exited"))
	gone.units = gone.units[:1]
	if got := gone.next().String(); got != "stop holder" {
		t.Errorf("a part was removed: %q", got)
	}
	if gone.holder.status = "exited"; gone.status("p").Exit.Cause != runner.CauseLost {
		t.Errorf("a part was removed: %+v", gone.status("p"))
	}
}

// TestHolderEnded has the holder end before its pod.
func TestHolderEnded(t *testing.T) {
	for name, c := range map[string]struct {
		status, err string
		facts       facts
		deadline    string
		want        runner.Cause
	}{
		"with its engine":    {"created", "", facts{}, "", runner.CauseLost},
		"by somebody":        {"created", "cannot join network of a non running container: x", facts{}, "", runner.CauseLost},
		"at the end":         {"created", "exec: no-such-command", facts{}, "", runner.CauseStart},
		"when stopped":       {"created", "", facts{stopped: at(0.6)}, "", runner.CauseStopped},
		"when out of time":   {"created", "", facts{}, "500ms", runner.CauseDeadline},
		"before that":        {"created", "", facts{}, "900ms", runner.CauseLost},
		"after all was done": {"exited", "", facts{}, "", runner.CauseCompleted},
	} {
		first, second := exited("a", 0, 0.5), unit{name: "b", role: roleMain, status: c.status, err: c.err, after: []string{"a"}, ended: at(0.6)}
		v := multi(c.facts, first, second)
		v.holder.status, v.holder.ended = "exited", at(0.7)
		v.holder.labels[labelDeadline] = c.deadline
		if s := v.status("p"); s.Phase != runner.PhaseEnded || s.Exit.Cause != c.want {
			t.Errorf("%s: %+v, want %s", name, s, c.want)
		}
	}
}

// TestInitProgram runs the holder's init, where it is this machine's.
func TestInitProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	program, err := initProgram(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		cmd.Process.Signal(syscall.SIGWINCH)
		time.Sleep(10 * time.Millisecond)
		cmd.Process.Signal(signal)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", signal, err)
		}
	}
	if _, err := initProgram("s390x"); err == nil {
		t.Error("there is none for s390x")
	}
}

func TestContexts(t *testing.T) {
	dir := t.TempDir()
	meta := filepath.Join(dir, "contexts/meta/b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a") // sha256 of "remote"
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(map[string]any{"Name": "remote", "Endpoints": map[string]any{"docker": map[string]any{"Host": "ssh://me@far"}}})
	os.WriteFile(meta+"/meta.json", data, 0o644)
	os.WriteFile(dir+"/config.json", []byte(`{"currentContext":"remote"}`), 0o644)
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{}, "ssh://me@far"},
		{map[string]string{"DOCKER_CONTEXT": "default"}, "unix:///var/run/docker.sock"},
		{map[string]string{"DOCKER_CONTEXT": "none"}, ""},
		{map[string]string{"DOCKER_HOST": "tcp://1.2.3.4:5"}, "tcp://1.2.3.4:5"},
	} {
		c.env["DOCKER_CONFIG"] = dir
		ends, err := newConnector(Config{LookupEnv: func(k string) string { return c.env[k] }}).endpoints()
		if c.want == "" && err == nil || c.want != "" && (err != nil || ends[0].host != c.want) {
			t.Errorf("%v: %v, %v", c.env, ends, err)
		}
	}
}
