package docker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"

	"github.com/wherry-ml/wherry/runner"
)

// pipCache is the volume that holds what pip has downloaded and built, for all
// layers of this home: a large wheel is fetched once. What packages run while they
// are built can write to it, so that no other home reads it.
func (b *Backend) pipCache() string { return "wherry-" + b.cfg.Home + "-pip-cache" }

// oldPipCache is the volume that all homes shared in earlier versions. Nothing uses it.
const oldPipCache = "wherry-pip-cache"

// pipCachePath is where a layer's build sees pipCache. An empty folder of this
// name stays in the image.
const pipCachePath = "/var/cache/wherry-pip"

// buildLayer installs a layer in a container of the base image and commits it.
// That needs no builder and nothing of this machine's disk, so that it is the same
// on every engine. The container's name derives from the layer: two homes that
// want the same at once install it once, and what one that died has begun is
// taken up by the next.
func (b *Backend) buildLayer(ctx context.Context, e *engine, spec runner.BuildSpec, log func(string)) error {
	if spec.Offline {
		return &runner.ImageError{Image: spec.Name, Mend: "run it once without --network none: then the layer is there, and no network is needed",
			Err: fmt.Errorf("to install %s needs the network once, and the run has none", strings.Join(packagesOf(spec.Layer), " "))}
	}
	log("pip install " + strings.Join(packagesOf(spec.Layer), " "))
	b.sweepLayers(ctx, e)
	base, err := e.ImageInspect(ctx, spec.Base)
	if err != nil {
		return e.failed(err, "look up base image %s", spec.Base)
	}
	name := layerContainer(spec.Derivation)
	for try := range 50 { // a name is taken a moment before its container can be seen
		started, err := b.startLayer(ctx, e, spec, base, name)
		if err != nil {
			return err
		}
		if started {
			return b.installLayer(ctx, e, spec, base, name, log)
		}
		if try == 0 {
			log("waiting for another wherry that builds the same layer")
		}
		if done, err := b.awaitLayer(ctx, e, spec, base, name); done || err != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
	return fmt.Errorf("build layer: container %s is in the way: docker rm -f %s", name, name)
}

// installLayer follows the container that this process has started, and commits
// it.
func (b *Backend) installLayer(ctx context.Context, e *engine, spec runner.BuildSpec, base image.InspectResponse, name string, log func(string)) (err error) {
	defer func() { err = errors.Join(err, removeLayer(ctx, e, name)) }()
	var output []string
	code, err := e.followLayer(ctx, name, func(line string) {
		log(line)
		output = append(output, line)
		if len(output) > 1000 {
			output = output[500:]
		}
	})
	if err != nil {
		return err
	}
	if code != 0 {
		return runner.NewLayerError(spec.Layer, nameOf(base, spec), output)
	}
	log("writing the layer")
	return e.commitLayer(ctx, spec, base, name)
}

// awaitLayer waits for the container that another wherry has started; false where
// the layer has to be built all the same. Whoever finds that it ended well may
// commit it: the result is the same.
func (b *Backend) awaitLayer(ctx context.Context, e *engine, spec runner.BuildSpec, base image.InspectResponse, name string) (done bool, err error) {
	patience := time.Now().Add(20 * time.Second)
	for ; ; pause(ctx, 200*time.Millisecond) {
		c, err := e.ContainerInspect(ctx, name)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case isNotFound(err):
			_, found, err := e.derived(ctx, spec)
			return found, err
		case err != nil:
			return false, e.failed(err, "look at container %s", name)
		case c.State.Running:
			patience = time.Now().Add(20 * time.Second)
			continue
		case c.State.Status == container.StateExited && c.State.ExitCode == 0:
			if err := e.commitLayer(ctx, spec, base, name); err != nil && !isNotFound(err) {
				return false, err
			}
			if c.Config.Labels[labelLayerHome] == b.cfg.Home { // who holds the lock is us: nobody else will
				return true, removeLayer(ctx, e, name)
			}
			_, found, err := e.derived(ctx, spec)
			return found, err
		}
		if time.Now().After(patience) || c.Config.Labels[labelLayerHome] == b.cfg.Home {
			return false, removeLayer(ctx, e, name)
		}
	}
}

// pause waits a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// nameOf is what people call the base image.
func nameOf(base image.InspectResponse, spec runner.BuildSpec) string {
	if len(base.RepoTags) > 0 {
		return base.RepoTags[0]
	}
	return spec.Base
}

func layerContainer(derivation string) string {
	return "wherry-layer-" + strings.TrimPrefix(derivation, "sha256:")[:min(32, len(strings.TrimPrefix(derivation, "sha256:")))]
}

// startLayer creates and starts the container that installs a layer; false where
// there is one.
func (b *Backend) startLayer(ctx context.Context, e *engine, spec runner.BuildSpec, base image.InspectResponse, name string) (bool, error) {
	config := &container.Config{
		// Cmd stays empty, and no variable is set: a commit would keep them.
		Image: base.ID, Entrypoint: []string{"/bin/sh", layerDir + "/" + layerScriptName},
		Labels: map[string]string{labelLayer: spec.Derivation, labelLayerHome: b.cfg.Home},
	}
	if base.Config != nil && base.Config.User != "" {
		config.User = "0"
	}
	host := &container.HostConfig{
		LogConfig: logOptions(), SecurityOpt: []string{"no-new-privileges"},
		Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: b.pipCache(), Target: pipCachePath,
			VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{labelLayerHome: b.cfg.Home}}}},
	}
	_, err := e.ContainerCreate(ctx, config, host, nil, platform(spec.Platform), name)
	switch {
	case isConflict(err):
		return false, nil
	case err != nil:
		return false, e.failed(err, "create container %s", name)
	}
	err = b.putLayerFiles(ctx, e, spec, name)
	if err == nil {
		err = e.failed(e.ContainerStart(ctx, name, container.StartOptions{}), "start container %s", name)
	}
	if err != nil {
		return false, errors.Join(err, removeLayer(ctx, e, name))
	}
	return true, nil
}

// followLayer hands on what pip says, and returns its exit code.
func (e *engine) followLayer(ctx context.Context, name string, log func(string)) (code int, err error) {
	r, err := e.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: true})
	if err != nil {
		return 0, e.failed(err, "read what container %s says", name)
	}
	err = readLines(r, func(l runner.Line) bool {
		if text := strings.TrimRight(string(l.Text), " \r"); text != "" && !strings.HasPrefix(text, installedSign) {
			log(text)
		}
		return ctx.Err() == nil
	})
	r.Close()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, e.failed(err, "read what container %s says", name)
	}
	ended, errs := e.ContainerWait(ctx, name, container.WaitConditionNotRunning)
	select {
	case w := <-ended:
		return int(w.StatusCode), nil
	case err := <-errs:
		return 0, e.failed(err, "wait for container %s", name)
	}
}

// commitLayer makes an image of the container, with the base image's own
// configuration.
func (e *engine) commitLayer(ctx context.Context, spec runner.BuildSpec, base image.InspectResponse, name string) error {
	config := layerConfig(base)
	config.Labels[labelDerivation] = spec.Derivation
	config.Labels[labelInstalled] = e.installed(ctx, name)
	config.Labels[labelLayer], config.Labels[labelLayerHome] = "", "" // or all that run from it would have those of the build
	if spec.Layer != nil && spec.Layer.Venv {
		config.Env = withVenv(config.Env)
	}
	_, err := e.ContainerCommit(ctx, name, container.CommitOptions{
		Reference: spec.Name, Config: config, Comment: "pip install " + strings.Join(packagesOf(spec.Layer), " "),
	})
	return e.failed(err, "commit layer %s", spec.Name)
}

// installed is what listScript has said in a container; empty: nothing. Two machines
// that install the same requirements at other times can be told apart by it.
func (e *engine) installed(ctx context.Context, name string) (digest string) {
	r, err := e.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, Timestamps: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer r.Close()
	_ = readLines(r, func(l runner.Line) bool {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(string(l.Text)), installedSign); ok {
			digest = rest
		}
		return true
	})
	return digest
}

func packagesOf(l *runner.Layer) []string {
	if l.Empty() {
		return nil
	}
	return l.Packages()
}

// layerConfig is the configuration of the base image, as a commit takes it.
func layerConfig(base image.InspectResponse) *container.Config {
	config := &container.Config{Labels: map[string]string{}, Entrypoint: []string{}}
	c := base.Config
	if c == nil {
		return config
	}
	config.User, config.WorkingDir, config.StopSignal = c.User, c.WorkingDir, c.StopSignal
	config.Env, config.Cmd, config.Shell, config.OnBuild = slices.Clone(c.Env), c.Cmd, c.Shell, c.OnBuild
	config.Volumes = c.Volumes
	if len(c.Entrypoint) > 0 {
		config.Entrypoint = c.Entrypoint
	}
	for k, v := range c.Labels {
		config.Labels[k] = v
	}
	return config
}

// withVenv puts the layer's virtual environment first in PATH.
func withVenv(env []string) []string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	env = slices.DeleteFunc(env, func(e string) bool {
		value, ok := strings.CutPrefix(e, "PATH=")
		if ok {
			path = value
		}
		return ok || strings.HasPrefix(e, "VIRTUAL_ENV=")
	})
	return append(env, "PATH="+layerVenv+"/bin:"+path, "VIRTUAL_ENV="+layerVenv)
}

// removeLayer takes the container of a build away, also after ctx.
func removeLayer(ctx context.Context, e *engine, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := e.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if isNotFound(err) || isConflict(err) { // gone, or another removes it
		return nil
	}
	return e.failed(err, "remove container %s", name)
}

// Sweep removes the builds of layers that no wherry of this home follows any more.
func (b *Backend) Sweep(ctx context.Context) {
	if e, err := b.connect.engine(ctx); err == nil {
		b.sweepLayers(ctx, e)
	}
}

// sweepLayers removes the builds that a wherry of this home has left behind: those
// whose lock is free. What it can't do is left for the next time.
func (b *Backend) sweepLayers(ctx context.Context, e *engine) {
	for name, unlock := range b.leftLayers(ctx, e) {
		_ = removeLayer(ctx, e, name)
		unlock()
	}
}

// leftLayers yields the containers of such builds with their locks held.
func (b *Backend) leftLayers(ctx context.Context, e *engine) iter.Seq2[string, func()] {
	return func(yield func(string, func()) bool) {
		list, err := e.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelLayerHome+"="+b.cfg.Home))})
		if err != nil {
			return
		}
		for _, c := range list {
			derivation := c.Labels[labelLayer]
			if derivation == "" || len(c.Names) == 0 {
				continue
			}
			if unlock, free := b.tryBuildLock(derivation); free && !yield(strings.TrimPrefix(c.Names[0], "/"), unlock) {
				return
			}
		}
	}
}

// errNoImage says that a build has ended well and left nothing.
func errNoImage(spec runner.BuildSpec) error {
	return &runner.ImageError{Image: spec.Name, Err: fmt.Errorf("the build ended well, and the engine does not have it"), Mend: "docker buildx use default"}
}
