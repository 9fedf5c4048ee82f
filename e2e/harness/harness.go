package harness

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// Build builds wherry into a new folder and returns it; the caller removes it.
// Root is the module's folder.
func Build(root string) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "wherry-e2e-bin"); err != nil {
		return "", err
	}
	// An ordinary user runs it too, see run_as_user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	build := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "build", "-o", filepath.Join(dir, "wherry"), "./cmd/wherry")
	build.Dir = root
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return dir, fmt.Errorf("build wherry: %w", err)
	}
	return dir, nil
}

// CheckEngine fails where there is nothing to test on.
func CheckEngine() error {
	const mend = "`make test` sets it up"
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("no Docker engine answers; %s\n%s", mend, out)
	}
	for _, image := range []string{"python:3.11", "wherry-test/busybox"} {
		if err := exec.Command("docker", "image", "inspect", image).Run(); err != nil {
			return fmt.Errorf("the engine has no image %s; %s", image, mend)
		}
	}
	return nil
}

// HomeID is the short id of a home that wherry puts into names and labels.
func HomeID(home string) string {
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	text := home
	if own, err := os.ReadFile(filepath.Join(home, "id")); err == nil {
		text += "\n" + strings.TrimSpace(string(own))
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:8]
}

// CleanUp ends what runs for a home, on this machine and on the engine.
func CleanUp(home string) {
	for _, pid := range Processes(home) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if ids, err := Containers(home); err == nil && len(ids) > 0 {
		_ = exec.Command("docker", append([]string{"rm", "-fv"}, ids...)...).Run()
	}
	_ = exec.Command("docker", "volume", "rm", "-f", "wherry-"+HomeID(home)+"-pip-cache").Run()
	if names, err := Volumes(home); err == nil && len(names) > 0 {
		_ = exec.Command("docker", append([]string{"volume", "rm", "-f"}, names...)...).Run()
	}
}

// Volumes lists the named volumes that a home owns.
func Volumes(home string) ([]string, error) {
	out, err := exec.Command("docker", "volume", "ls", "-q", "--filter", "label="+runner.LabelHome+"="+HomeID(home)).Output()
	return strings.Fields(string(out)), err
}

func ownedBy(home string) string { return "label=" + runner.LabelHome + "=" + HomeID(home) }

// Processes lists the processes that were given this home: detached drivers,
// supervisors and their steps.
func Processes(home string) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains("\x00"+string(environ), "\x00WHERRY_HOME="+home+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Containers lists the containers that a home owns, running or not.
func Containers(home string) ([]string, error) {
	out, err := exec.Command("docker", "ps", "-aq", "--filter", ownedBy(home)).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("docker ps: %w: %s", err, e.Stderr)
	}
	return strings.Fields(string(out)), err
}

// Left lists the containers that a home still owns after a moment: the engine
// tells of a removal before it is over.
func Left(home string) ([]string, error) {
	for until := time.Now().Add(3 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		ids, err := Containers(home)
		if err != nil || len(ids) == 0 || time.Now().After(until) {
			return ids, err
		}
	}
}
