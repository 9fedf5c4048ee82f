package soak

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"

	"github.com/wherry-ml/wherry/e2e/need"
)

// ownEngine is a second dockerd of this machine, with folders, a socket and a bridge of
// its own, so that the first one and its containers are left alone. It touches no
// iptables: its containers reach nothing.
type ownEngine struct {
	t      *testing.T
	dir    string
	bridge string
	daemon *exec.Cmd
	ended  chan struct{}
}

func newEngine(t *testing.T) *ownEngine {
	if os.Geteuid() != 0 {
		need.Missing(t, "only root can start an engine")
	}
	image, err := exec.Command("docker", "save", "wherry-test/busybox").Output() // from the first one
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wherry-engine") // short: a socket's path is at most 107 bytes long
	if err != nil {
		t.Fatal(err)
	}
	// Two campaigns at a time on one machine have a bridge each.
	e := &ownEngine{t: t, dir: dir, bridge: fmt.Sprintf("wherry%d", os.Getpid())}
	address := fmt.Sprintf("10.213.%d.1/24", os.Getpid()%256)
	t.Cleanup(e.close)
	for _, args := range [][]string{
		{"link", "add", e.bridge, "type", "bridge"}, {"addr", "add", address, "dev", e.bridge}, {"link", "set", e.bridge, "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "docker.sock"))
	e.start()
	load := exec.Command("docker", "load")
	in, err := load.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = in.Write(image); in.Close() }()
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker load: %v\n%s", err, out)
	}
	return e
}

// start starts the engine and waits until it answers.
func (e *ownEngine) start() {
	log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		e.t.Error(err)
		return
	}
	defer log.Close()
	e.daemon = exec.Command("dockerd", "--host", os.Getenv("DOCKER_HOST"), "--data-root", e.dir+"/data", "--exec-root", e.dir+"/exec",
		"--pidfile", e.dir+"/pid", "--bridge", e.bridge, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
		"--userland-proxy=false")
	e.daemon.Stdout, e.daemon.Stderr = log, log
	e.daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = os.Remove(e.dir + "/pid") // of one that was killed; its number may be another process's by now
	if err := e.daemon.Start(); err != nil {
		e.t.Error(err)
		return
	}
	daemon, ended := e.daemon, make(chan struct{})
	e.ended = ended
	go func() { _ = daemon.Wait(); close(ended) }()
	for range 300 {
		if exec.Command("docker", "version").Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	e.t.Errorf("the engine does not answer\n%s", text[max(0, len(text)-2000):])
}

func (e *ownEngine) kill() {
	_ = e.daemon.Process.Kill()
	<-e.ended
	// Its containerd dies with it, a moment later: an engine that starts before that
	// would take it for its own. So would it any process that has its number by now.
	pidfile := e.dir + "/exec/containerd/containerd.pid"
	text, _ := os.ReadFile(pidfile)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	for err == nil && syscall.Kill(pid, 0) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	_ = os.Remove(pidfile)
}

func (e *ownEngine) close() {
	if e.daemon != nil {
		_ = e.daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-e.ended:
		case <-time.After(20 * time.Second):
			e.kill()
		}
	}
	// What it had only half started when it was killed, it forgot.
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && strings.Contains(string(line), e.dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = exec.Command("umount", e.dir+"/data").Run() // a mount of its own making
	_ = exec.Command("ip", "link", "del", e.bridge).Run()
	if err := os.RemoveAll(e.dir); err != nil {
		e.t.Error(err)
	}
}

// TestKillEngine kills the engine at random moments, and in every other run wherry as
// well. A step that was cut short runs again: its name may be there as often as it has
// attempts on record, of which all but the last are LOST.
func TestKillEngine(t *testing.T) {
	engine := newEngine(t)
	c := newCampaign(t)
	took := c.undisturbed("effects.yaml", 19)
	killed, lost := 0, 0
	for n := 0; killed < *engineKills; n++ {
		name := fmt.Sprintf("engine-%d", n)
		over := make(chan struct{})
		var killer sync.WaitGroup
		killer.Go(func() {
			for killed < *engineKills {
				select {
				case <-over:
					return
				case <-time.After(time.Duration(c.rng.Int64N(int64(took)))):
				}
				engine.kill()
				killed++
				time.Sleep(time.Duration(c.rng.Int64N(int64(3 * time.Second))))
				engine.start()
				select {
				case <-over:
					return
				case <-time.After(took): // some progress between two
				}
			}
		})
		wherries := 0
		d := c.lives("effects.yaml", name, took, func() bool { wherries++; return n%2 == 1 && wherries <= 3 })
		close(over)
		killer.Wait()
		c.same("effects.yaml", name, d)
		lost += c.attempts(name)
		c.clean(name)
	}
	t.Logf("%d kills of the engine and %d of wherry over %d runs; %d attempts were lost and ran again", killed, c.killed, c.runs-1, lost)
}

// attempts fails unless each step that ran has succeeded in its last attempt and lost
// those before, and has left its name at most once for each. It returns how many were
// lost.
func (c *campaign) attempts(run string) (lost int) {
	c.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(c.home, "wherry.db")+"?mode=ro")
	c.must(err)
	defer db.Close()
	rows, err := db.Query(`SELECT e.path, a.number = max(a.number) OVER (PARTITION BY e.id), a.state
		FROM runs r JOIN executions e ON e.run = r.id JOIN attempts a ON a.execution = e.id WHERE r.name = ?`, run)
	c.must(err)
	defer rows.Close()
	steps, all := 0, 0
	for rows.Next() {
		var path, state string
		var last bool
		c.must(rows.Scan(&path, &last, &state))
		all++
		switch {
		case last && state == "SUCCEEDED":
			steps++
		case !last && state == "LOST":
			lost++
		default:
			c.Errorf("run %s: %s has an attempt that is %s", run, path, state)
		}
	}
	c.must(errors.Join(rows.Err(), rows.Close()))
	names := c.names()
	sum := 0
	for _, n := range names {
		sum += n
	}
	if len(names) != steps || steps != 19 || sum > all {
		c.Errorf("run %s: %d steps in %d attempts have left %v", run, steps, all, names)
	}
	return lost
}
