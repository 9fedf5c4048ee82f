package docker

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"

	"github.com/wherry-ml/wherry/filelock"
	"github.com/wherry-ml/wherry/runner"
)

// tailLines is how much of a failed build's output its error shows.
const tailLines = 12

// Build makes an image: a layer in a container that is committed, a folder with a
// Dockerfile through buildx where the docker command has it, else through the
// engine's classic builder. The image bears its derivation, by which
// it is found again; two processes that want the same one build it once.
func (b *Backend) Build(ctx context.Context, spec runner.BuildSpec, log func(string)) (runner.Image, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return runner.Image{}, err
	}
	if log == nil {
		log = func(string) {}
	}
	if im, found, err := e.derived(ctx, spec); found || err != nil {
		if found {
			b.noteUse(ctx, e, spec, im.Ref)
		}
		return im, err
	}
	unlock, err := b.lockBuild(ctx, spec.Derivation, log)
	if err != nil {
		return runner.Image{}, err
	}
	defer unlock()
	if im, found, err := e.derived(ctx, spec); found || err != nil {
		return im, err
	}
	if spec.Context == "" {
		err = b.buildLayer(ctx, e, spec, log)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
	} else {
		tail := &tailLog{next: log}
		if err = b.build(ctx, e, spec, tail.line); err != nil {
			err = buildError(ctx, spec, err, tail.lines)
		}
	}
	if err != nil {
		return runner.Image{}, err
	}
	im, found, err := e.derived(ctx, spec)
	if err == nil && !found {
		err = errNoImage(spec)
	}
	if found {
		b.noteUse(ctx, e, spec, im.Ref)
	}
	return im, err
}

func buildError(ctx context.Context, spec runner.BuildSpec, err error, lines []string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*runner.UnavailableError](err); ok {
		return err
	}
	mend := "see the lines above; to try it by hand: docker build " + spec.Context
	if len(lines) > 0 {
		err = fmt.Errorf("%w\n  %s", err, strings.Join(lines, "\n  "))
	}
	return &runner.ImageError{Image: spec.Name, Err: fmt.Errorf("build: %w", err), Mend: mend}
}

// tailLog passes lines on and keeps the last ones.
type tailLog struct {
	next  func(string)
	lines []string
}

func (t *tailLog) line(s string) {
	t.next(s)
	if s = strings.TrimSpace(s); s != "" {
		t.lines = append(t.lines, s)
	}
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// derived finds an image that was built before.
func (e *engine) derived(ctx context.Context, spec runner.BuildSpec) (runner.Image, bool, error) {
	list, err := e.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelDerivation+"="+spec.Derivation))})
	if err != nil || len(list) == 0 {
		return runner.Image{}, false, e.failed(err, "look for the image %q", spec.Name)
	}
	im, err := e.lookUp(ctx, list[0].ID, "")
	if isMissing(err) { // removed in between
		return im, false, nil
	}
	if err == nil && spec.Name != "" && !slices.Contains(list[0].RepoTags, spec.Name) {
		err = e.failed(e.ImageTag(ctx, list[0].ID, spec.Name), "tag image %q", spec.Name)
	}
	im.Name = spec.Name
	return im, err == nil, err
}

// lockBuild keeps other processes from building the same image at once.
func (b *Backend) lockBuild(ctx context.Context, derivation string, log func(string)) (unlock func(), err error) {
	path, err := b.buildLock(derivation)
	if err != nil {
		return nil, err
	}
	return filelock.Lock(ctx, path, func() { log("waiting for another wherry that builds the same image") })
}

// buildLock is the lock of a build, and makes its folder.
func (b *Backend) buildLock(derivation string) (path string, err error) {
	path = b.buildLockPath(derivation)
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

// buildLockPath is the lock of a build; that it is there says that this home has
// used the image.
func (b *Backend) buildLockPath(derivation string) string {
	return filepath.Join(b.cfg.Dir, "work", "build-"+strings.NewReplacer(":", "-", "/", "-").Replace(derivation)+".lock")
}

// tryBuildLock takes the lock of a build, if nobody holds it.
func (b *Backend) tryBuildLock(derivation string) (unlock func(), free bool) {
	path, err := b.buildLock(derivation)
	if err != nil {
		return nil, false
	}
	unlock, err = filelock.Try(path)
	return unlock, err == nil && unlock != nil
}

func (b *Backend) build(ctx context.Context, e *engine, spec runner.BuildSpec, log func(string)) error {
	args := b.connect.conf.proxyEnv(e.end.host)
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		tw := tar.NewWriter(w)
		err := writeContext(tw, spec)
		if err == nil {
			err = tw.Close()
		}
		w.CloseWithError(err)
		written <- err
	}()
	var err error
	if hasBuildx(ctx) {
		err = runBuildx(ctx, e, spec, args, r, log)
	} else {
		err = b.classicBuild(ctx, e, spec, args, r, log)
	}
	r.CloseWithError(io.ErrClosedPipe)
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return werr
	}
	return err
}

func hasBuildx(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "buildx", "version").Run() == nil
}

func runBuildx(ctx context.Context, e *engine, spec runner.BuildSpec, args map[string]string, r io.Reader, log func(string)) error {
	argv := []string{"buildx", "build", "--load", "--progress", "plain", "--file", dockerfileName,
		"--label", labelDerivation + "=" + spec.Derivation}
	if spec.Name != "" {
		argv = append(argv, "--tag", spec.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		argv = append(argv, "--build-arg", name+"="+args[name])
	}
	cmd := exec.CommandContext(ctx, "docker", append(argv, "-")...)
	cmd.Stdin = r
	cmd.WaitDelay = 5 * time.Second
	if e.end.from != "DOCKER_HOST" && !strings.HasPrefix(e.end.from, "docker context") { // those it finds itself, with their certificates
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.end.host)
	}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			log(s.Text())
		}
		io.Copy(io.Discard, out)
	}()
	err := cmd.Run()
	w.Close()
	<-read
	return err
}

func (b *Backend) classicBuild(ctx context.Context, e *engine, spec runner.BuildSpec, args map[string]string, r io.Reader, log func(string)) error {
	opts := build.ImageBuildOptions{
		Dockerfile: dockerfileName, Labels: map[string]string{labelDerivation: spec.Derivation},
		Remove: true, ForceRemove: true, BuildArgs: map[string]*string{}, AuthConfigs: b.allAuths(),
	}
	if spec.Name != "" {
		opts.Tags = []string{spec.Name}
	}
	for name, value := range args {
		opts.BuildArgs[name] = &value
	}
	resp, err := e.ImageBuild(ctx, r, opts)
	if err != nil {
		return e.failed(err, "classic builder")
	}
	defer resp.Body.Close()
	var line strings.Builder
	err = decodeMessages(resp.Body, func(m message) error {
		text := m.Stream
		if m.Status != "" {
			text = m.Status + "\n"
		}
		for part := range strings.Lines(text) {
			line.WriteString(strings.TrimSuffix(part, "\n"))
			if strings.HasSuffix(part, "\n") {
				log(line.String())
				line.Reset()
			}
		}
		return nil
	})
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || isAway(err) {
		return e.failed(err, "classic builder")
	}
	return err
}

// allAuths are the credentials that config.json holds itself, for the base
// images that a Dockerfile names.
func (b *Backend) allAuths() map[string]registry.AuthConfig {
	out := map[string]registry.AuthConfig{}
	for key, a := range b.connect.conf.Auths {
		if conf, err := a.config(); err == nil && conf != (registry.AuthConfig{}) {
			conf.ServerAddress = key
			out[key] = conf
		}
	}
	return out
}
