package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/filelock"
	"github.com/wherry-ml/wherry/runner"
)

// completeMark is the file that a finished environment holds. Environments embed
// their own path, so they are built in place; one without the mark is built anew.
const completeMark = ".wherry-complete"

// environment returns the cached virtual environment with these packages,
// building it if there is none. Only one process builds, others wait for it. No
// Python, and packages that can't be had, are an *runner.ImageError.
func (b *Backend) environment(ctx context.Context, image string, layer *runner.Layer) (string, error) {
	py, err := b.python(ctx)
	if err != nil {
		return "", noPython(image, err)
	}
	key := digest(py.path, py.version, platform(), layer.Digest())
	dir := filepath.Join(b.venvs(), key[:32])
	if complete(dir) {
		now := time.Now() // so that gc can tell which are in use
		if err := os.Chtimes(filepath.Join(dir, completeMark), now, now); !errors.Is(err, fs.ErrNotExist) {
			return dir, nil
		}
	}
	if err := os.MkdirAll(b.venvs(), 0o755); err != nil {
		return "", fmt.Errorf("make the folder of environments: %w", err)
	}
	unlock, err := filelock.Lock(ctx, dir+".lock", nil)
	if err != nil {
		return "", fmt.Errorf("wait for the environment of image %q: %w", image, err)
	}
	defer unlock()
	if complete(dir) {
		return dir, nil
	}
	if err := b.buildEnvironment(ctx, py, dir, layer); err != nil {
		return "", errors.Join(environmentError(ctx, image, err), os.RemoveAll(dir))
	}
	return dir, nil
}

func environmentError(ctx context.Context, image string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("make the Python environment of image %q: %w", image, ctx.Err())
	}
	var noVenv *noVenvError
	if failed, ok := errors.AsType[*runner.LayerError](err); ok {
		return failed
	}
	mend := "see the lines above"
	if errors.As(err, &noVenv) {
		mend = "apt-get install python3-venv, or install uv or virtualenv"
	}
	return &runner.ImageError{Image: image, Err: err, Mend: mend}
}

func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, completeMark))
	return err == nil
}

func (b *Backend) buildEnvironment(ctx context.Context, py python, dir string, layer *runner.Layer) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear a half-made environment: %w", err)
	}
	b.cfg.Note(fmt.Sprintf("making a Python environment (%s)", py.version))
	if err := makeVenv(ctx, py, dir); err != nil {
		return err
	}
	if !layer.Empty() {
		b.cfg.Note(fmt.Sprintf("installing %s into it, once", strings.Join(layer.Packages(), " ")))
		if err := install(ctx, dir, layer, py.version); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(dir, completeMark))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// noVenvError says that nothing on this host makes virtual environments.
type noVenvError struct{ tried []error }

func (e *noVenvError) Error() string {
	return "nothing here makes virtual environments: " + strings.ReplaceAll(errors.Join(e.tried...).Error(), "\n", "; ")
}

// makeVenv makes an environment with whatever this host has for it.
func makeVenv(ctx context.Context, py python, dir string) error {
	none := &noVenvError{}
	for _, how := range [][]string{
		{py.path, "-m", "venv", dir},
		{"uv", "venv", "--quiet", "--seed", "--python", py.path, dir},
		{py.path, "-m", "virtualenv", "--quiet", dir},
		{"virtualenv", "--quiet", "--python", py.path, dir},
	} {
		out, err := command(ctx, "", how...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if isNoSpace(out) {
			return fmt.Errorf("%s: %w", strings.Join(how, " "), unix.ENOSPC)
		}
		name := strings.Join(how[:min(3, len(how))], " ")
		none.tried = append(none.tried, fmt.Errorf("%s: %w", name, short(err, out)))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return none
}

func isNoSpace(out string) bool {
	return strings.Contains(out, unix.ENOSPC.Error()) || strings.Contains(out, "No space left")
}

func short(err error, out string) error {
	if line := lastLines(out, 1); line != "" {
		return errors.New(line)
	}
	return err
}

// install puts a layer into the environment, each pip install with its own
// options. What pip says last is part of the error.
func install(ctx context.Context, dir string, layer *runner.Layer, python string) error {
	env := pipEnv(os.Environ(), layer.Env)
	for _, args := range layer.Installs {
		words := []string{filepath.Join(dir, "bin", "python"), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"}
		out, err := commandEnv(ctx, "", env, append(words, args...)...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && isNoSpace(out) {
			return fmt.Errorf("pip install %s: %w", strings.Join(args, " "), unix.ENOSPC)
		}
		if err != nil {
			return runner.NewLayerError(layer, python, strings.Split(out, "\n"))
		}
	}
	return nil
}

// pipEnv is the environment of pip: the host's without what would lead it out of
// its environment, and the layer's own settings over it.
func pipEnv(host []string, own []runner.EnvVar) []string {
	env := slices.DeleteFunc(slices.Clone(host), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(dropped, name)
	})
	for _, e := range own {
		if !slices.Contains(dropped, e.Name) {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	return env
}

// command runs a program to its end and returns what it said. Its whole process
// group ends with ctx.
func command(ctx context.Context, dir string, words ...string) (string, error) {
	return commandEnv(ctx, dir, nil, words...)
}

// commandEnv is command with an environment; nil is the host's.
func commandEnv(ctx context.Context, dir string, env []string, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
