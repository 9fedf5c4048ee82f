package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestArtifactsFromStepToStep(t *testing.T) {
	b := newBackend(t)
	ctx := withTimeout(t)
	run1 := filepath.Join(b.cfg.Dir, "runs", "r1")
	step := func(name, script string) runner.Pod {
		p := onePod(name, script)
		p.Volumes = []runner.Volume{{Name: "out", Scratch: true}}
		p.Containers[0].Mounts = []runner.Mount{{Volume: "out", Path: filepath.Join(run1, name, "1")}}
		return p
	}
	a := step("a", "mkdir -p "+run1+"/a/1/model && echo weights > "+run1+"/a/1/model/w && touch here && pwd")
	a.Outputs = []runner.Output{{Name: "model", Path: run1 + "/a/1/model"}}
	exit, c := run(t, b, a)
	if !exit.OK() || c.outputs["model"] == "" || c.text() != "main stdout "+b.pod("a").cwd()+"\n" {
		t.Fatalf("%+v %v %s", exit, c.outputs, c.text())
	}
	// The sink takes the output away, as the artifact store does.
	if err := os.Rename(c.outputs["model"], filepath.Join(b.cfg.Dir, "artifacts", "m")); err != nil {
		t.Fatal(err)
	}
	// b and c start while a's volume is still in place; a is removed under them.
	for _, name := range []string{"b", "c"} {
		p := step(name, "cat "+run1+"/a/1/model/w; until [ -e "+b.cfg.Dir+"/go ]; do sleep 0.01; done; cat "+run1+"/a/1/model/w")
		p.Inputs = []runner.Input{{Digest: "sha256:m", Path: run1 + "/a/1/model"}}
		if err := b.Ensure(ctx, []runner.Pod{p}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			exit, c := finish(t, b, p)
			if !exit.OK() || c.text() != "main stdout weights\nmain stdout weights\n" {
				t.Errorf("%+v\n%s", exit, c.text())
			}
		}()
	}
	if err := b.Remove(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(b.cfg.Dir, "go"), "")
}

func TestVolumes(t *testing.T) {
	b := newBackend(t)
	store := filepath.Join(b.cfg.Dir, "artifacts")
	write(t, filepath.Join(store, "one", "x"), "1")
	write(t, filepath.Join(store, "one", "sub", "y"), "1")
	write(t, filepath.Join(store, "two", "x"), "2")
	if err := os.Chmod(filepath.Join(store, "two", "x"), 0o444); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(b.cfg.Dir, "runs", "v")
	host := t.TempDir()
	p := onePod("volumes", "cd "+at+"; cat seeded/x seeded/sub/y tree/x; echo more >> seeded/x; echo kept > named/k; echo h > "+host+"/h; ls sub")
	p.Volumes = []runner.Volume{
		{Name: "seeded", Scratch: true, Seed: []string{"sha256:one", "sha256:two"}},
		{Name: "tree", Tree: "sha256:one"},
		{Name: "named", Named: "keeps"},
		{Name: "host", Host: host},
	}
	p.Containers[0].Mounts = []runner.Mount{
		{Volume: "seeded", Path: at + "/seeded"}, {Volume: "tree", Path: at + "/tree", ReadOnly: true},
		{Volume: "named", Path: at + "/named"}, {Volume: "host", Path: host}, {Volume: "tree", Path: at + "/sub", SubPath: "sub"},
	}
	p.Outputs = []runner.Output{{Name: "x", Path: at + "/seeded/x"}, {Name: "h", Path: host + "/h"}}
	exit, c := run(t, b, p)
	if !exit.OK() || len(c.outputs) != 2 || !strings.Contains(c.text(), "stdout 211y") {
		t.Errorf("%+v %v\n%s", exit, c.outputs, c.text())
	}
	if err := b.Remove(withTimeout(t), "volumes"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(store, "two", "x")); string(got) != "2" {
		t.Errorf("the store was written to: %q", got)
	}
	if got, _ := os.ReadFile(b.named("keeps") + "/k"); string(got) != "kept\n" {
		t.Errorf("the named volume is gone: %q", got)
	}
}

func TestOutputsThatLeadOutOfTheirVolume(t *testing.T) {
	b := newBackend(t)
	at := filepath.Join(b.cfg.Dir, "runs", "v")
	p := onePod("escapes", "ln -s /etc "+at+"/d")
	p.Volumes = []runner.Volume{{Name: "v", Scratch: true}}
	p.Containers[0].Mounts = []runner.Mount{{Volume: "v", Path: at}}
	run(t, b, p)
	p.Outputs = []runner.Output{{Name: "o", Path: at + "/d/passwd"}}
	c := &collected{}
	if _, err := b.Collect(withTimeout(t), p, c); err == nil || len(c.outputs) > 0 {
		t.Errorf("%v %v", c.outputs, err)
	}
}

func TestRefusals(t *testing.T) {
	b := newBackend(t)
	for _, tt := range []struct {
		field  string
		change func(*runner.Pod)
	}{
		{"network: none", func(p *runner.Pod) { p.Network.Mode = runner.NetworkNone }},
		{"network: gang g", func(p *runner.Pod) { p.Network.Gang = "g" }},
		{"network: hostname h", func(p *runner.Pod) { p.Network.Hostname = "h" }},
		{"resources: gpu", func(p *runner.Pod) { p.Resources.Devices = []string{"0"} }},
		{`container "main": resources: gpu`, func(p *runner.Pod) { p.Containers[0].Resources.GPU = 1 }},
		{"platform linux/s390x", func(p *runner.Pod) { p.Platform = "linux/s390x" }},
		{`container "main": user nobody-here`, func(p *runner.Pod) { p.Containers[0].User = "nobody-here" }},
		{`container "main": shm size`, func(p *runner.Pod) { p.Containers[0].SHMSize = 1 }},
		{`container "main": working directory /app`, func(p *runner.Pod) { p.Containers[0].WorkDir = "/app" }},
		{`container "main": no command`, func(p *runner.Pod) { p.Containers[0].Command = nil }},
		{`container "main": command /app/run`, func(p *runner.Pod) { p.Containers[0].Command = []string{"/app/run"} }},
		{`container "main": script /app/train.py`, func(p *runner.Pod) {
			p.Containers[0].Command, p.Containers[0].Args = []string{"/usr/local/bin/python", "-u"}, []string{"/app/train.py", "--lr", "1"}
		}},
		{`container "main": mount at /data`, func(p *runner.Pod) {
			p.Volumes = []runner.Volume{{Name: "v", Scratch: true}}
			p.Containers[0].Mounts = []runner.Mount{{Volume: "v", Path: "/data"}}
		}},
		{`container "main": mount at ` + b.cfg.Dir + "/artifacts/x", func(p *runner.Pod) {
			p.Volumes = []runner.Volume{{Name: "v", Scratch: true}}
			p.Containers[0].Mounts = []runner.Mount{{Volume: "v", Path: b.cfg.Dir + "/artifacts/x"}}
		}},
		{"input at /data/in", func(p *runner.Pod) { p.Inputs = []runner.Input{{Digest: "sha256:", Path: "/data/in"}} }},
		{`output "o" at /data/out`, func(p *runner.Pod) { p.Outputs = []runner.Output{{Name: "o", Path: "/data/out"}} }},
	} {
		p := onePod("refused", "true")
		tt.change(&p)
		err := b.Ensure(withTimeout(t), []runner.Pod{p})
		var no *runner.UnsupportedError
		if !errors.As(err, &no) || no.Field != tt.field {
			t.Errorf("want field %q, got %v", tt.field, err)
		}
		if b.pod("refused").exists() {
			t.Errorf("%s: something was made", tt.field)
		}
	}
	for name, p := range map[string]runner.Pod{
		"cycle": {Name: "c", Containers: []runner.Container{{Name: "a", Command: []string{"true"}, After: []string{"a"}}}},
		"name":  onePod("../x", "true"), "empty": {Name: "e"},
	} {
		if err := b.Ensure(withTimeout(t), []runner.Pod{p}); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

func TestUses(t *testing.T) {
	for text, want := range map[string]usesPython{
		"python3 -m pip install x":     {true, true},
		"python3.11 a":                 {true, false},
		"/opt/train.py":                {true, false},
		"echo pipeline | sh":           {},
		"pip3 list":                    {true, true},
		"echo mypython":                {},
		"python3 -m ensurepip && x":    {true, true},
		"[ -x \"$(command -v pip)\" ]": {true, true},
	} {
		if got := uses([]string{"sh", "-c", text}); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
