package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/runnertest"
)

// TestOrdinaryUser runs what writes files as an ordinary user of the docker
// group: all that is left under WHERRY_HOME must be that user's to delete, which
// the removal of each test's temporary directory shows.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this whole run is an ordinary user's")
		return
	}
	fi, err := os.Stat("/var/run/docker.sock")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wherry-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const uid = 54321
	bin := filepath.Join(dir, "docker.test")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(bin, data, 0o755), os.Chmod(bin, 0o755), os.Chmod(dir, 0o755),
			os.Mkdir(dir+"/tmp", 0o755), os.Chown(dir+"/tmp", uid, uid))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.run", "^TestBackend$/^(Inputs|Tree|Seed|Output|Linked|NamedVolume|ScratchIsPrivate|Isolation|Adoption|CallerKilled|InitContainer|Ordered)")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir + "/tmp", "TMPDIR=" + dir + "/tmp", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
		Uid: uid, Gid: uid, Groups: []uint32{fi.Sys().(*syscall.Stat_t).Gid}}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("as uid %d: %v\n%s", uid, err, out)
	}
	if left, _ := os.ReadDir(dir + "/tmp"); len(left) > 0 {
		t.Errorf("%v was left", left)
	}
}

// TestSSH runs what a connection can change over ssh://, with an ssh that stays on this machine:
// what it runs is the docker command's own dial-stdio.
func TestSSH(t *testing.T) {
	dir := t.TempDir()
	const script = `#!/bin/bash
unset DOCKER_HOST # or dial-stdio would come here again
while [ $# -gt 0 ]; do
	case "$1" in
	-W) exec 3<>"/dev/tcp/${2/://}"; cat <&3 & cat >&3; wait; exit ;;
	-o|-l|-p) shift 2 ;;
	--) shift 2; exec "$@" ;;
	*) shift ;;
	esac
done
`
	if err := os.WriteFile(dir+"/ssh", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	open := subject(false)
	runnertest.Run(t, func(t *testing.T) *runnertest.Subject {
		t.Helper()
		s := open(t)
		s.Backend.(*Backend).Close()
		s.Open = func() (runner.Backend, error) { return openSSH(s.Dir), nil }
		s.Backend = openSSH(s.Dir)
		return s
	}, "Answers", "ExitCodes", "Stop", "Adoption", "WatchSeesAll", "Fifty", "Streams", "Inputs", "Outputs", "Ordered", "Gang", "Dial", "Exec")
}

func openSSH(dir string) *Backend {
	return New(Config{Home: homeOf(dir), Dir: dir, Store: runnertest.Store(filepath.Join(dir, "artifacts")), Host: "ssh://me@far.example:2222"})
}

func TestNoEngine(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"DOCKER_HOST": "unix://" + dir + "/none.sock", "HOME": dir}
	b := New(Config{Home: "h", Dir: dir, LookupEnv: func(k string) string { return env[k] }})
	defer b.Close()
	err := b.Ping(t.Context())
	away, ok := errors.AsType[*runner.UnavailableError](err)
	if !ok || len(away.Tried) != 1 || away.Hint() == "" || !strings.Contains(err.Error(), "none.sock") {
		t.Errorf("%v", err)
	}
	for _, err := range b.Watch(t.Context()) {
		if _, ok := errors.AsType[*runner.UnavailableError](err); !ok {
			t.Errorf("Watch: %v", err)
		}
	}
}

func TestUsualSockets(t *testing.T) {
	env := map[string]string{"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/7"}
	c := newConnector(Config{LookupEnv: func(k string) string { return env[k] }})
	ends, err := c.endpoints()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range ends {
		all = append(all, e.socket())
	}
	for _, want := range []string{"/var/run/docker.sock", "/run/user/7/docker.sock", "/home/me/.colima/default/docker.sock",
		"/home/me/.orbstack/run/docker.sock", "/run/user/7/podman/podman.sock", "/home/me/.docker/run/docker.sock"} {
		if !strings.Contains(strings.Join(all, " "), want) {
			t.Errorf("%s is not looked for", want)
		}
	}
}

// link is a socket of our own in front of the engine's, that can be cut.
type link struct {
	path string
	mu   sync.Mutex
	ln   net.Listener
	open map[net.Conn]bool
}

func newLink(t *testing.T) *link {
	l := &link{path: filepath.Join(t.TempDir(), "engine.sock"), open: map[net.Conn]bool{}}
	l.up(t)
	t.Cleanup(l.cut)
	return l
}

func (l *link) up(t *testing.T) {
	ln, err := net.Listen("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.ln = ln
	l.mu.Unlock()
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", "/var/run/docker.sock")
			if err != nil {
				in.Close()
				continue
			}
			l.mu.Lock()
			l.open[in], l.open[out] = true, true
			l.mu.Unlock()
			go func() { io.Copy(in, out); in.Close() }()
			go func() { io.Copy(out, in); out.Close() }()
		}
	}()
}

// cut closes the socket and every connection through it.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ln.Close()
	for c := range l.open {
		c.Close()
	}
	clear(l.open)
}

// TestEngineGoesAway cuts the connection in mid-run: Watch mends it, and a pod
// that ended meanwhile is seen; when the engine stays away Watch says so.
func TestEngineGoesAway(t *testing.T) {
	s := subject(false)(t)
	l := newLink(t)
	b := New(Config{Home: s.Home, Dir: s.Dir, Store: s.Store, Host: "unix://" + l.path})
	defer b.Close()
	p := runner.Pod{Name: runner.PodName(s.Home, "r", 1, 1), Containers: []runner.Container{
		{Name: "main", Image: s.Image, Command: []string{"sh", "-c", "sleep 1; exit 3"}}}}
	defer s.Remove(context.Background(), p.Name)
	synced, ended := 0, false
	start := time.Now()
	for st, err := range b.Watch(t.Context()) {
		if err != nil {
			if _, ok := errors.AsType[*runner.UnavailableError](err); !ok || !ended {
				t.Errorf("ended %v, %v", ended, err)
			}
			if took := time.Since(start); took < 9*time.Second || took > 20*time.Second {
				t.Errorf("it was given up after %v", took)
			}
			break
		}
		switch {
		case st.Synced:
			if synced++; synced > 1 {
				continue
			}
			if err := b.Ensure(t.Context(), []runner.Pod{p}); err != nil {
				t.Fatal(err)
			}
		case st.Phase == runner.PhaseRunning && synced == 1:
			l.cut()
			time.AfterFunc(1500*time.Millisecond, func() { l.up(t) })
		case st.Phase == runner.PhaseEnded && !ended:
			if ended = true; st.Exit.Code != 3 || st.Exit.Cause != runner.CauseError || synced < 1 {
				t.Errorf("%+v after %d", st, synced)
			}
			l.cut()
			start = time.Now()
		}
	}
	if err := b.Ensure(t.Context(), []runner.Pod{p}); !isUnavailable(err) {
		t.Errorf("Ensure: %v", err)
	}
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*runner.UnavailableError](err)
	return ok
}

// TestRemovedByOthers has somebody else remove containers.
func TestRemovedByOthers(t *testing.T) {
	s := subject(false)(t)
	b := s.Backend.(*Backend)
	e, err := b.connect.engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sh := func(name, script string, after ...string) runner.Container {
		return runner.Container{Name: name, Image: s.Image, Command: []string{"sh", "-c", script}, After: after}
	}
	for i, c := range []struct {
		containers []runner.Container
		remove     string
	}{
		{[]runner.Container{sh("main", "sleep 100")}, ""},
		{[]runner.Container{sh("one", "sleep 100"), sh("two", "true", "one")}, ""},
		{[]runner.Container{sh("one", "sleep 2"), sh("two", "true", "one")}, "-two"},
	} {
		p := runner.Pod{Name: runner.PodName(s.Home, "r", int64(i), 1), Containers: c.containers, Grace: time.Second}
		for st, err := range b.Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case st.Synced:
				if err := b.Ensure(t.Context(), []runner.Pod{p}); err != nil {
					t.Fatal(err)
				}
			case st.Phase == runner.PhaseRunning:
				if err := e.ContainerRemove(t.Context(), p.Name+c.remove, container.RemoveOptions{Force: true}); err != nil {
					t.Log(err) // seen running twice
				}
			}
			if st.Phase == runner.PhaseEnded || st.Phase == runner.PhaseGone {
				if st.Exit.Cause != runner.CauseLost {
					t.Errorf("case %d: %+v", i, st)
				}
				break
			}
		}
		exit, err := b.Collect(t.Context(), p, &runnertest.Sink{})
		if !errors.Is(err, runner.ErrLost) && exit.Cause != runner.CauseLost {
			t.Errorf("case %d: Collect: %+v, %v", i, exit, err)
		}
		if err := b.Remove(t.Context(), p.Name); err != nil {
			t.Error(err)
		}
	}
}

func TestSocketIsRefused(t *testing.T) {
	s := subject(false)(t)
	link := filepath.Join(t.TempDir(), "harmless")
	if err := os.Symlink("/var/run/docker.sock", link); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"/var/run/docker.sock", "/run/docker.sock", link, "/run", "/"} {
		p := runner.Pod{Name: runner.PodName(s.Home, "r", 1, 1), Volumes: []runner.Volume{{Name: "v", Host: host}},
			Containers: []runner.Container{{Name: "main", Image: s.Image, Command: []string{"true"}, Mounts: []runner.Mount{{Volume: "v", Path: "/v"}}}}}
		if _, ok := errors.AsType[*runner.UnsupportedError](s.Ensure(t.Context(), []runner.Pod{p})); !ok {
			t.Errorf("%s was mounted", host)
			s.Remove(t.Context(), p.Name)
		}
	}
}

// TestTrustAndLimits looks at what a container sees of its settings.
func TestTrustAndLimits(t *testing.T) {
	for _, copyFiles := range []bool{false, true} {
		s := subject(copyFiles)(t)
		pem := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(pem, []byte("the company's\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		conf := t.TempDir()
		os.WriteFile(conf+"/config.json", []byte(`{"proxies":{"default":{"httpProxy":"http://proxy:1","noProxy":"x"}}}`), 0o600)
		b := New(Config{Home: s.Home, Dir: s.Dir, Store: s.Store, CABundle: pem, Copy: copyFiles,
			LookupEnv: func(k string) string {
				if k == "DOCKER_CONFIG" {
					return conf
				}
				return os.Getenv(k)
			}})
		defer b.Close()
		script := `cat $SSL_CERT_FILE; echo $http_proxy $HTTP_PROXY $NO_PROXY $no_proxy $PIP_CERT
df -k /dev/shm | tail -n 1 | awk '{print $2}'; grep NoNewPrivs /proc/self/status; grep -c docker.sock /proc/mounts
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max`
		p := runner.Pod{Name: runner.PodName(s.Home, "r", 1, 1),
			Resources: runner.Resources{CPU: 500, Memory: 32 << 20, CPULimit: 1500, MemoryLimit: 64 << 20},
			Containers: []runner.Container{{Name: "main", Image: s.Image, SHMSize: 1 << 20, Command: []string{"sh", "-c", script},
				Env: []runner.EnvVar{{Name: "PIP_CERT", Value: "own"}}}}}
		text := runOne(t, b, p)
		want := "the company's\nhttp://proxy:1 http://proxy:1 x x own\n1024\nNoNewPrivs:\t1\n0\n67108864\n150000\n512\n"
		if text != want && !strings.Contains(text, "67108864\n150000 100000\n") {
			t.Errorf("copying %v: %q\nwant %q", copyFiles, text, want)
		}
	}
}

// runOne runs a pod to its end and returns what it wrote to stdout.
func runOne(t *testing.T, b *Backend, p runner.Pod) string {
	t.Helper()
	defer b.Remove(context.Background(), p.Name)
	if err := b.Ensure(t.Context(), []runner.Pod{p}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for l, err := range b.Logs(t.Context(), p.Name, runner.LogOptions{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Stream == runner.Stdout {
			fmt.Fprintf(&out, "%s\n", l.Text)
		}
	}
	return out.String()
}
