package runnertest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

func testInputs(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	file, dir := s.path(p, "in", "file.txt"), s.path(p, "in", "dir")
	p = withScratch(p, s.path(p))
	p.Inputs = []runner.Input{
		{Digest: s.Store.File(t, "a file"), Path: file},
		{Digest: s.Store.Tree(t, map[string]string{"a": "A", "sub/b": "B"}), Path: dir},
	}
	p.Containers[0].Args = []string{"cat " + file + " " + dir + "/a " + dir + "/sub/b && echo scratch > " + s.path(p, "x")}
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.text(runner.Stdout) != "a fileAB\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
	path, _ := s.Store.Path(p.Inputs[0].Digest)
	if data, err := os.ReadFile(path); err != nil || string(data) != "a file" {
		t.Errorf("the store holds %q, %v", data, err)
	}
}

func testTree(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	at, sub := s.path(p, "src"), s.path(p, "only")
	digest := s.Store.Tree(t, map[string]string{"main.sh": "echo from the tree", "lib/x": "X"})
	p.Volumes = []runner.Volume{{Name: "src", Tree: digest}}
	p.Containers[0].Mounts = []runner.Mount{{Volume: "src", Path: at}, {Volume: "src", SubPath: "lib", Path: sub}}
	p.Containers[0].Args = []string{"sh " + at + "/main.sh; cat " + at + "/lib/x " + sub + "/x"}
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.text("") != "from the tree\nXX\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testSeed(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	at := s.path(p, "work")
	first := s.Store.Tree(t, map[string]string{"a": "first", "b": "first", "d/c": "deep"})
	second := s.Store.Tree(t, map[string]string{"b": "second"})
	p = withScratch(p, at, first, second)
	p.Containers[0].Args = []string{"cd " + at + " && cat a b d/c && echo new > a && echo more > d/new && rm b"}
	p.Containers[0].User = s.User
	p.Outputs = []runner.Output{{Name: "all", Path: at}}
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.text("") != "firstseconddeep\n" {
		t.Fatalf("%+v, %q", exit, sink.text(""))
	}
	if sink.read(t, "all", "a") != "new\n" || sink.read(t, "all", "d", "new") != "more\n" || exists(filepath.Join(sink.Outputs["all"], "b")) {
		t.Error("the output is not what the step left")
	}
	path, _ := s.Store.Path(first)
	if data, err := os.ReadFile(filepath.Join(path, "a")); err != nil || string(data) != "first" {
		t.Errorf("the store holds %q, %v", data, err)
	}
}

func testOutputs(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	at := s.path(p, "out")
	p = withScratch(p, at)
	p.Containers[0].Args = []string{"cd " + at + "; mkdir -p tree/sub empty; umask 077; echo data > file; echo x > tree/sub/x; chmod 500 tree; printf '' > none; exit 3"}
	p.Containers[0].User = s.User
	p.Outputs = []runner.Output{
		{Name: "file", Path: at + "/file"}, {Name: "tree", Path: at + "/tree"}, {Name: "empty", Path: at + "/empty"},
		{Name: "none", Path: at + "/none"}, {Name: "missing", Path: at + "/no/such"},
	}
	s.run(t, p)
	for range 2 { // Collect can be repeated
		exit, sink := s.ended(t, p)
		if exit.Code != 3 || len(sink.Outputs) != 4 {
			t.Fatalf("%+v, %v", exit, sink.Outputs)
		}
		if sink.read(t, "file") != "data\n" || sink.read(t, "tree", "sub", "x") != "x\n" || sink.read(t, "none") != "" {
			t.Error("the outputs are not what the step wrote")
		}
	}
	if err := s.Remove(context60(t), p.Name); err != nil {
		t.Error(err)
	}
}

func testOutputElsewhere(t *testing.T, s *Subject) {
	p := s.pod(t, "mkdir -p /tmp/outputs/p; echo 0.9 > /tmp/outputs/p/data")
	p.Outputs = []runner.Output{{Name: "p", Path: "/tmp/outputs/p/data"}, {Name: "q", Path: "/tmp/outputs/q/data"}}
	if !s.Features().Isolation {
		s.refused(t, p)
		return
	}
	_, sink := s.run(t, p)
	if sink.read(t, "p") != "0.9\n" || len(sink.Outputs) != 1 {
		t.Errorf("%v", sink.Outputs)
	}
}

// testOutputLater collects a second time, for outputs that only the ended pod
// could name.
func testOutputLater(t *testing.T, s *Subject) {
	p := s.pod(t, `d=$(mktemp -d); mkdir $d/tree; echo later > $d/file; echo leaf > $d/tree/leaf; printf %s "$d"`)
	_, sink := s.run(t, p)
	at := sink.text(runner.Stdout)
	at = strings.TrimSuffix(at, "\n")
	p.Outputs = []runner.Output{{Name: "file", Path: at + "/file"}, {Name: "tree", Path: at + "/tree"}, {Name: "missing", Path: at + "/none"}}
	for range 2 {
		_, sink := s.ended(t, p)
		if len(sink.Outputs) != 2 || sink.read(t, "file") != "later\n" || sink.read(t, "tree", "leaf") != "leaf\n" {
			t.Errorf("from %s: %v", at, sink.Outputs)
		}
	}
	if s.Features().Isolation {
		return
	}
	p.Outputs = []runner.Output{{Name: "passwd", Path: "/etc/passwd"}}
	sink = &Sink{}
	_, err := s.Collect(context60(t), p, sink)
	if bad, ok := errors.AsType[*runner.UnsupportedError](err); !ok || !strings.Contains(bad.Field, "/etc/passwd") || len(sink.Outputs) > 0 {
		t.Errorf("a file of this machine as an output: %v, %v", err, sink.Outputs)
	}
}

// testLinkedOutputs has a step try to have a file of this machine taken for its
// output.
func testLinkedOutputs(t *testing.T, s *Subject) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "secret")
	p := s.pod(t, "")
	at := s.path(p, "out")
	p = withScratch(p, at)
	for _, link := range []string{secret, "../../../../../../../../.." + secret, filepath.Dir(secret) + "/."} {
		p := p
		p.Name += "x"
		p.Containers[0].Args = []string{"ln -s " + link + " " + at + "/link"}
		path := at + "/link"
		if strings.HasSuffix(link, ".") {
			path += "/secret"
		}
		p.Outputs = []runner.Output{{Name: "link", Path: path}}
		s.start(t, p)
		s.await(t, p.Name, runner.PhaseEnded)
		sink := &Sink{}
		_, err := s.Collect(context60(t), p, sink)
		if got := sink.Outputs["link"]; got != "" {
			if fi, err := os.Lstat(got); err == nil && fi.Mode().IsRegular() {
				t.Errorf("%s was followed to %s", link, got)
			}
		}
		if bad, ok := errors.AsType[*runner.OutputError](err); err != nil && ok && bad.Name != "link" {
			t.Errorf("%+v", bad)
		}
		if err := s.Remove(context60(t), p.Name); err != nil {
			t.Error(err)
		}
	}
	p.Containers[0].Args = []string{"cd " + at + "; mkdir d; echo v2 > d/model-v2; ln -s model-v2 d/model; ln -s " + secret + " d/stolen"}
	p.Outputs = []runner.Output{{Name: "d", Path: at + "/d"}}
	_, sink := s.run(t, p)
	if to, err := os.Readlink(filepath.Join(sink.Outputs["d"], "model")); err != nil || to != "model-v2" {
		t.Errorf("a link within an output: %q, %v", to, err)
	}
	if fi, err := os.Lstat(filepath.Join(sink.Outputs["d"], "stolen")); err == nil && fi.Mode().IsRegular() {
		t.Error("a link in an output was followed")
	}
}

func testNamedVolume(t *testing.T, s *Subject) {
	for i, script := range []string{"echo kept > ", "cat "} {
		p := s.pod(t, "")
		at := s.path(p, "data")
		p.Volumes = []runner.Volume{{Name: "data", Named: "wherry-runnertest-" + s.Home}}
		p.Containers[0].Mounts = []runner.Mount{{Volume: "data", Path: at}}
		p.Containers[0].Args = []string{script + at + "/file"}
		exit, sink := s.run(t, p)
		if !exit.OK() || i == 1 && sink.text("") != "kept\n" {
			t.Errorf("%+v, %q", exit, sink.text(""))
		}
		if err := s.Remove(context60(t), p.Name); err != nil {
			t.Error(err)
		}
	}
}

func testHostVolume(t *testing.T, s *Subject) {
	host := t.TempDir()
	write(t, filepath.Join(host, "sub", "in"), "from the host")
	p := s.pod(t, "")
	at := s.path(p, "host")
	p.Volumes = []runner.Volume{{Name: "h", Host: host}}
	p.Containers[0].Mounts = []runner.Mount{{Volume: "h", SubPath: "sub", Path: at, ReadOnly: true}}
	p.Containers[0].Args = []string{"cat " + at + "/in"}
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.text("") != "from the host\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testScratchIsPrivate(t *testing.T, s *Subject) {
	at := filepath.Join(s.Dir, "runs", "shared-name")
	for range 2 {
		p := s.pod(t, "ls -A "+at+"; echo x > "+at+"/left")
		p = withScratch(p, at)
		exit, sink := s.run(t, p)
		if !exit.OK() || sink.text("") != "" {
			t.Errorf("%+v: a new scratch volume holds %q", exit, sink.text(""))
		}
		if err := s.Remove(context60(t), p.Name); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range []string{filepath.Join(s.Dir, "work")} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "wherry-") {
				t.Errorf("%s was left in %s", e.Name(), dir)
			}
		}
	}
}

func testIsolation(t *testing.T, s *Subject) {
	p := s.pod(t, "cat /data/in && echo out > /results/x && cat /results/x && ! echo y > /data/in")
	p.Inputs = []runner.Input{{Digest: s.Store.File(t, "in"), Path: "/data/in"}}
	p = withScratch(p, "/results")
	p.Containers[0].User = s.User
	if !s.Features().Isolation {
		s.refused(t, p)
		return
	}
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.text(runner.Stdout) != "inout\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func testAccelerators(t *testing.T, s *Subject) {
	p := s.pod(t, "true")
	p.Resources = runner.Resources{GPU: 1, Devices: []string{"GPU-00000000-no-such-device"}}
	s.refused(t, p)
}
