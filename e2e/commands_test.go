package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/e2e/harness"
)

// commands are what scripts may use beside testscript's own.
//
//	code N PROGRAM [ARG]…     runs it; it must exit with N
//	fails N PROGRAM [ARG]…    as code, and: what is wrong, what to do next, no panic, nothing left
//	start NAME PROGRAM […]    runs it in the background; its output goes to NAME.out and NAME.err
//	signal NAME SIGNAL        sends a signal to it
//	await NAME N              waits for its end; it must exit with N
//	waitfor PROGRAM [ARG]…    repeats it until it exits with 0
//	json FILE PATH VALUE      see cmdJSON
//	sql QUERY WANT            see cmdSQL
//	[!] containers            the home must have some on the engine
//	volumes [NAME]…           the home must have these named volumes on the engine, and no others
//	nowhere TEXT DIR          no file below the folder may hold the text
//	proxy SOCKET [slow], cut SOCKET  see cmdProxy
//	tmpfs DIR SIZE            mounts one, until the end of the script
//	dropimage NAME            removes the image that has this name now, at the end of the script
//	droplayers                removes the layers that are made from now on, at the end of the script
//	publicdir VAR UID         makes a folder that belongs to that user; VAR is its path
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"code":       cmdCode,
	"fails":      cmdFails,
	"start":      cmdStart,
	"signal":     cmdSignal,
	"await":      cmdAwait,
	"waitfor":    cmdWaitfor,
	"json":       cmdJSON,
	"sql":        cmdSQL,
	"containers": cmdContainers,
	"volumes":    cmdVolumes,
	"nowhere":    cmdNowhere,
	"proxy":      cmdProxy,
	"cut":        cmdCut,
	"tmpfs":      cmdTmpfs,
	"publicdir":  cmdPublicDir,
	"dropimage":  cmdDropImage,
	"droplayers": cmdDropLayers,
}

// patience is how long anything that a script waits for may take.
const patience = 60 * time.Second

func usage(ts *testscript.TestScript, neg, ok bool, form string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", form)
	}
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "code N PROGRAM [ARG]…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

var (
	saysWhat = regexp.MustCompile(`(?m)^wherry: \S`)
	saysNext = regexp.MustCompile(`(?m)^try: \S`)
	crashed  = regexp.MustCompile(`panic:|goroutine \d+ \[`)
)

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	cmdCode(ts, neg, args)
	text := ts.ReadFile("stderr")
	switch {
	case len(saysWhat.FindAllString(text, -1)) != 1:
		ts.Fatalf("stderr has no line, or more than one, that begins with `wherry: `")
	case !saysNext.MatchString(text):
		ts.Fatalf("stderr has no line that begins with `try: `")
	case crashed.MatchString(text):
		ts.Fatalf("it panicked")
	}
	cmdContainers(ts, true, nil)
}

// The keys of what is kept for a script.
type (
	processes struct{} // its background processes, by name
	variables struct{} // its environment at the start
)

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func named(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processes{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

// command is one that does not go through ts.Exec, in the script's folder and
// environment.
func command(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if name == "wherry" {
		path, err = filepath.Join(binDir, name), nil
	}
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = environment(ts)
	return cmd
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "start NAME PROGRAM [ARG]…")
	cmd := command(ts, args[1], args[2:]...)
	stdout, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		stdout.Close()
		stderr.Close()
		close(p.done)
	}()
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-p.done
	})
	ts.Value(processes{}).(map[string]*process)[args[0]] = p
}

// environment is the script's, as it is now.
func environment(ts *testscript.TestScript) []string {
	env := slices.Clone(ts.Value(variables{}).([]string))
	for _, name := range []string{"WHERRY_HOME", "WHERRY_PATIENCE", "DOCKER_HOST"} { // what scripts set
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "signal NAME SIGNAL")
	number := unix.SignalNum("SIG" + args[1])
	if number == 0 {
		ts.Fatalf("unknown signal %q", args[1])
	}
	ts.Check(named(ts, args[0]).cmd.Process.Signal(number))
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "await NAME N")
	p := named(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines say what it waits for
		<-p.done
		ts.Fatalf("%s has not ended in %s\n%s%s", args[0], patience, ts.ReadFile(args[0]+".out"), ts.ReadFile(args[0]+".err"))
	}
	code := p.cmd.ProcessState.ExitCode()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	if strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s: exit code %d, want %s\n%s%s", args[0], code, args[1], ts.ReadFile(args[0]+".out"), ts.ReadFile(args[0]+".err"))
	}
}

func cmdWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 1, "waitfor PROGRAM [ARG]…")
	until := time.Now().Add(patience)
	for {
		out, err := command(ts, args[0], args[1:]...).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			for name := range ts.Value(processes{}).(map[string]*process) {
				ts.Logf("%s:\n%s%s", name, ts.ReadFile(name+".out"), ts.ReadFile(name+".err"))
			}
			ts.Fatalf("not in %s: %v\n%s", patience, err, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cmdContainers waits a moment: the engine tells of a removal before it is over.
func cmdContainers(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: [!] containers")
	}
	home := ts.Getenv("WHERRY_HOME")
	for until := time.Now().Add(3 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		ids, err := harness.Containers(home)
		ts.Check(err)
		switch {
		case neg == (len(ids) == 0):
			return
		case time.Now().Before(until):
		case neg:
			out, _ := exec.Command("docker", append([]string{"ps", "-a", "--format", "{{.Names}} {{.Status}}", "--filter"}, "id="+ids[0])...).Output()
			ts.Fatalf("%d containers are left: %s", len(ids), out)
		default:
			ts.Fatalf("there are no containers")
		}
	}
}

func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "tmpfs DIR SIZE")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(ts.Exec("mount", "-t", "tmpfs", "-o", "size="+args[1], "wherry-e2e", dir))
	ts.Defer(func() {
		harness.CleanUp(ts.Getenv("WHERRY_HOME"))
		if err := exec.Command("umount", dir).Run(); err != nil {
			_ = exec.Command("umount", "-l", dir).Run()
		}
	})
}

func cmdPublicDir(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "publicdir VAR UID")
	uid, err := strconv.Atoi(args[1])
	ts.Check(err)
	dir, err := os.MkdirTemp("", "wherry-e2e-public")
	ts.Check(err)
	ts.Check(os.Chmod(dir, 0o755))
	ts.Check(os.Chown(dir, uid, uid))
	ts.Setenv(args[0], dir)
	ts.Defer(func() {
		harness.CleanUp(ts.Getenv("WHERRY_HOME"))
		_ = os.RemoveAll(dir)
	})
}

func cmdDropImage(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "dropimage NAME")
	id, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", args[0]).Output()
	ts.Check(err)
	ts.Defer(func() { _ = exec.Command("docker", "rmi", "-f", strings.TrimSpace(string(id))).Run() })
}

func cmdDropLayers(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "droplayers")
	layers := func() []string {
		out, _ := exec.Command("docker", "images", "--quiet", "--no-trunc", "wherry/layer").Output()
		return strings.Fields(string(out))
	}
	before := layers()
	ts.Defer(func() {
		for _, id := range layers() {
			if !slices.Contains(before, id) {
				_ = exec.Command("docker", "rmi", "-f", id).Run()
			}
		}
	})
}
