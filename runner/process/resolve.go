package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// python is the interpreter from which environments are made.
type python struct {
	path    string // of the executable itself
	version string // "CPython 3.11.7"
}

// platform is what this host runs.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Resolve names what stands for image here: the host's Python. Nothing is pulled
// or installed; Ensure does that, with what o.Layer says. A host without Python
// has only an *runner.ImageError for a layer that isn't empty.
func (b *Backend) Resolve(ctx context.Context, image string, o runner.ResolveOptions) (runner.Image, error) {
	if err := checkPlatform(o.Platform); err != nil {
		return runner.Image{}, err
	}
	version := "no python"
	py, err := b.python(ctx)
	switch {
	case err == nil:
		version = py.version
	case ctx.Err() != nil:
		return runner.Image{}, ctx.Err()
	case !o.Layer.Empty():
		return runner.Image{}, noPython(image, err)
	}
	return runner.Image{
		Name:     image,
		Ref:      image,
		Identity: "process:" + version + ":" + platform(),
		Platform: platform(),
	}, nil
}

func checkPlatform(p string) error {
	if p != "" && p != platform() {
		return unsupported("platform "+p, "host processes run on %s", platform())
	}
	return nil
}

func noPython(image string, err error) error {
	return &runner.ImageError{Image: image, Err: err,
		Mend: "install Python 3 with its venv module (Debian: apt-get install python3-venv; macOS: xcode-select --install), or start a container engine"}
}

// python finds the host's interpreter, once.
func (b *Backend) python(ctx context.Context) (python, error) {
	b.pyMu.Lock()
	defer b.pyMu.Unlock()
	if b.py != nil {
		return *b.py, nil
	}
	const ask = "import sys, platform; print(sys.executable); print(platform.python_implementation(), platform.python_version())"
	out, err := exec.CommandContext(ctx, b.cfg.Python, "-I", "-c", ask).Output()
	if err != nil {
		return python{}, fmt.Errorf("ask %s for its version: %w", b.cfg.Python, withStderr(err))
	}
	path, version, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		return python{}, fmt.Errorf("ask %s for its version: it said %q", b.cfg.Python, out)
	}
	b.py = &python{path, strings.TrimSpace(version)}
	return *b.py, nil
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, lastLines(string(exit.Stderr), 3))
	}
	return err
}

// digest is the SHA-256 of words, in hex; ("a", "b") and ("ab") differ.
func digest(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s\n", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// lastLines returns the last n lines of text that aren't blank.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
