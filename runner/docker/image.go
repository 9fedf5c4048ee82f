package docker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/wherry-ml/wherry/runner"
)

// silence is how long a registry may say nothing in a pull: before the progress
// says what is awaited, and before it is given up.
type silence struct{ say, giveUp time.Duration }

// Resolve looks the image up on the engine, and pulls it where o.Policy says
// so. Its identity is the digest of its configuration and its platform, or of an
// image that we built, the derivation.
func (b *Backend) Resolve(ctx context.Context, ref string, o runner.ResolveOptions) (runner.Image, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return runner.Image{}, err
	}
	if o.Policy != runner.PullAlways {
		im, err := e.lookUp(ctx, ref, o.Platform)
		if err == nil || !isMissing(err) {
			return im, err
		}
		if o.Policy == runner.PullNever {
			return im, &runner.ImageError{Image: ref, Err: fmt.Errorf("%w, and its policy is Never", err), Mend: mendImage(ref)}
		}
	}
	if err := b.pull(ctx, e, ref, o); err != nil {
		return runner.Image{}, err
	}
	im, err := e.lookUp(ctx, ref, o.Platform)
	if isMissing(err) {
		err = &runner.ImageError{Image: ref, Err: err, Mend: mendImage(ref)}
	}
	return im, err
}

// missingError says that the engine does not have an image for the platform.
type missingError struct{ why string }

func (e *missingError) Error() string { return e.why }

func isMissing(err error) bool { _, ok := errors.AsType[*missingError](err); return ok }

func (e *engine) lookUp(ctx context.Context, ref, want string) (runner.Image, error) {
	info, err := e.ImageInspect(ctx, ref)
	if isNotFound(err) {
		return runner.Image{}, &missingError{"the engine does not have it"}
	}
	if err != nil {
		if strings.Contains(err.Error(), "invalid reference") {
			return runner.Image{}, &runner.ImageError{Image: ref, Err: plain(err), Mend: "write it as NAME[:TAG] or NAME@sha256:DIGEST, in small letters"}
		}
		return runner.Image{}, e.failed(err, "look up image %q", ref)
	}
	im := runner.Image{Name: ref, Ref: info.ID, Platform: platformName(info.Os, info.Architecture, info.Variant)}
	if want != "" && !samePlatform(want, im.Platform) {
		return im, &missingError{fmt.Sprintf("the engine has it for %s, not for %s", im.Platform, want)}
	}
	im.Identity = info.ID + " " + im.Platform
	if info.Config != nil {
		im.Entrypoint, im.Cmd, im.WorkDir = info.Config.Entrypoint, info.Config.Cmd, info.Config.WorkingDir
		if d := info.Config.Labels[labelDerivation]; d != "" {
			im.Identity = d + " " + im.Platform
		}
	}
	about, err := e.about(ctx)
	if err != nil {
		return im, err
	}
	im.Emulated = !samePlatform("linux/"+goArch(about.Architecture), im.Platform)
	return im, nil
}

func platformName(os, arch, variant string) string {
	if os == "" {
		os = "linux"
	}
	p := os + "/" + arch
	if variant != "" && (arch != "arm64" || variant != "v8") {
		p += "/" + variant
	}
	return p
}

// samePlatform compares system and architecture; a variant only where both have
// one.
func samePlatform(a, z string) bool {
	p, q := platform(a), platform(z)
	return p.OS == q.OS && goArch(p.Architecture) == goArch(q.Architecture) &&
		(p.Variant == "" || q.Variant == "" || p.Variant == q.Variant)
}

// goArch is what images call an architecture that kernels call otherwise.
func goArch(arch string) string {
	switch arch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "":
		return runtime.GOARCH
	}
	return arch
}

func mendImage(ref string) string {
	return fmt.Sprintf("docker load -i FILE.tar where you have it as a file, or name another in wherry.yaml under images: {%q: …}", ref)
}

// pull brings an image from its registry. A registry that keeps silent is named
// in the progress, and given up in the end.
func (b *Backend) pull(ctx context.Context, e *engine, ref string, o runner.ResolveOptions) error {
	fail := func(err error) error {
		if isAway(err) {
			return e.failed(err, "pull image %q", ref)
		}
		return &runner.ImageError{Image: ref, Err: plain(err), Mend: mendImage(ref)}
	}
	if strings.HasPrefix(ref, "sha256:") {
		return fail(errors.New("it is an image's id, which no registry knows, and the engine does not have it"))
	}
	auth, err := b.connect.conf.auth(ref)
	if err != nil {
		return fail(err)
	}
	registry := "its registry"
	if named, err := reference.ParseNormalizedNamed(ref); err == nil {
		registry = reference.Domain(named)
	}
	pullCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := newPullMeter(ref, registry, o.Progress)
	defer m.watchSilence(b.silence, cancel)()
	rc, err := e.ImagePull(pullCtx, ref, image.PullOptions{Platform: o.Platform, RegistryAuth: auth})
	if err == nil {
		err = m.read(rc)
		rc.Close()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case context.Cause(pullCtx) != nil:
		return fail(context.Cause(pullCtx))
	case err != nil:
		return fail(err)
	}
	return nil
}
