package runnertest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/runner"
)

// withFiles mounts a volume of files at path in every container.
func withFiles(p runner.Pod, path string, files map[string]runner.File) runner.Pod {
	p.Volumes = append(p.Volumes, runner.Volume{Name: "files", Files: files})
	for i := range p.Containers {
		p.Containers[i].Mounts = append(p.Containers[i].Mounts, runner.Mount{Volume: "files", Path: path, ReadOnly: true})
	}
	return p
}

func testFiles(t *testing.T, s *Subject) {
	const value = "s3cr3t-of-the-suite"
	before, after := s.sh("before", ""), s.sh("main", "")
	before.Role = runner.Init
	p := s.podOf(t, before, after)
	at := s.path(p, "creds")
	p = withFiles(p, at, map[string]runner.File{
		"password": {Data: []byte(value), Secret: true}, "sub/run": {Data: []byte("echo from a script"), Mode: 0o555}, "empty": {},
	})
	p.Containers[0].Args = []string{"test $(wc -c < " + at + "/password) = 19 && echo seen"}
	p.Containers[1].Args = []string{"cd " + at + " && wc -c < password && sh sub/run && test -x sub/run && test -e empty && ! test -s empty && ls"}
	p.Containers[0].User, p.Containers[1].User = s.User, s.User
	exit, sink := s.run(t, p)
	if got := strings.ReplaceAll(sink.text(""), " ", ""); !exit.OK() || got != "seen\n19\nfromascript\nempty\npassword\nsub\n" {
		t.Errorf("%+v, %q", exit, got)
	}
	s.remove(t, p)
	s.nowhere(t, value)
}

// nowhere asserts that no file of the home holds the text.
func (s *Subject) nowhere(t *testing.T, text string) {
	t.Helper()
	_ = filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), text) {
			t.Errorf("%s holds it", path)
		}
		return nil
	})
}

func (s *Subject) remove(t *testing.T, p runner.Pod) {
	t.Helper()
	if err := s.Remove(context60(t), p.Name); err != nil {
		t.Error(err)
	}
}

// testFilesInContainer has files hide what the image has there, and lie in a scratch volume.
func testFilesInContainer(t *testing.T, s *Subject) {
	p := withScratch(s.pod(t, "ls -A /usr; cat /data/creds/key; echo x > /data/x; ls /data"), "/data")
	p = withFiles(p, "/usr", map[string]runner.File{"only": {Data: []byte("1")}})
	p.Volumes = append(p.Volumes, runner.Volume{Name: "inner", Files: map[string]runner.File{"key": {Data: []byte("inner\n")}}})
	p.Containers[0].Mounts = append(p.Containers[0].Mounts, runner.Mount{Volume: "inner", Path: "/data/creds"})
	if !s.Features().Isolation {
		s.refused(t, p)
		return
	}
	if exit, sink := s.run(t, p); !exit.OK() || sink.text("") != "only\ninner\ncreds\nx\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

// testFilesAdopted repeats Ensure as after a crash: what runs keeps its files.
func testFilesAdopted(t *testing.T, s *Subject) {
	p := s.pod(t, "")
	at := s.path(p, "f")
	p = withFiles(p, at, map[string]runner.File{"a": {Data: []byte("content\n")}})
	p.Containers[0].Args = []string{"echo up; sleep 1; cat " + at + "/a"}
	s.start(t, p)
	s.awaitLine(t, p.Name, "up")
	s.Reopen(t)
	s.start(t, p)
	if exit, sink := s.ended(t, p); !exit.OK() || sink.text("") != "up\ncontent\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
}

func (s *Subject) named(t *testing.T, name, script string) runner.Pod {
	p := s.pod(t, "")
	at := s.path(p, "data")
	p.Volumes = []runner.Volume{{Name: "data", Named: name}}
	p.Containers[0].Mounts = []runner.Mount{{Volume: "data", Path: at}}
	p.Containers[0].Args = []string{"cd " + at + "; " + script}
	p.Containers[0].User = s.User
	return p
}

func testNamedVolumeRemoved(t *testing.T, s *Subject) {
	remover, ok := s.Backend.(runner.VolumeRemover)
	if !ok {
		t.Fatal("this backend keeps named volumes for ever")
	}
	name := "wherry-runnertest-removed-" + s.Home
	remove := func() error { return remover.RemoveVolume(context60(t), name) }
	if err := remove(); err != nil {
		t.Errorf("one that never was: %v", err)
	}
	p := s.named(t, name, "echo 1 > file; echo up; sleep 100") // by any uid
	s.start(t, p)
	s.awaitLine(t, p.Name, "up")
	if err := remove(); err == nil {
		t.Error("it was removed under a pod")
	}
	if err := s.Stop(context60(t), p.Name, 0); err != nil {
		t.Fatal(err)
	}
	s.remove(t, p)
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	p = s.named(t, name, "ls -A")
	if exit, sink := s.run(t, p); !exit.OK() || sink.text("") != "" {
		t.Errorf("%+v, a new one of the same name holds %q", exit, sink.text(""))
	}
	s.remove(t, p)
	if err := remove(); err != nil {
		t.Error(err)
	}
}

func testNamedVolumeSubPath(t *testing.T, s *Subject) {
	name := "wherry-runnertest-sub-" + s.Home
	p := s.named(t, name, "echo in sub > file")
	p.Containers[0].Mounts[0].SubPath = "a/b"
	if exit, sink := s.run(t, p); !exit.OK() {
		t.Fatalf("%+v, %q", exit, sink.text(""))
	}
	s.remove(t, p)
	p = s.named(t, name, "cat a/b/file")
	if exit, sink := s.run(t, p); !exit.OK() || sink.text("") != "in sub\n" {
		t.Errorf("%+v, %q", exit, sink.text(""))
	}
	s.remove(t, p)
	if err := s.Backend.(runner.VolumeRemover).RemoveVolume(context60(t), name); err != nil {
		t.Error(err)
	}
}

func testMemoryVolume(t *testing.T, s *Subject) {
	init, main := s.sh("init", "echo kept > /cache/a"), s.sh("main", "cat /cache/a && mount | grep -c '^tmpfs on /cache ' && ! dd if=/dev/zero of=/cache/big bs=1M count=9 2>/dev/null")
	init.Role, init.User = runner.Init, s.User
	for _, p := range []runner.Pod{s.podOf(t, init, main), s.pod(t, "mount | grep -c '^tmpfs on /cache '; ! dd if=/dev/zero of=/cache/big bs=1M count=9 2>/dev/null")} {
		p.Volumes = []runner.Volume{{Name: "m", Scratch: true, Memory: true, Size: 8 << 20}}
		for i := range p.Containers {
			p.Containers[i].Mounts = []runner.Mount{{Volume: "m", Path: "/cache"}}
		}
		if err := s.Ensure(context60(t), []runner.Pod{p}); err != nil {
			if _, no := errors.AsType[*runner.UnsupportedError](err); no && !s.Features().Isolation {
				continue
			}
			t.Fatal(err)
		}
		exit, sink := s.ended(t, p)
		if got := strings.TrimPrefix(sink.text(""), "kept\n"); !exit.OK() || got != "1\n" {
			t.Errorf("%+v, %q", exit, sink.text(""))
		}
	}
}
