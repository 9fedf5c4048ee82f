package dag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// imageKey is what an image look-up depends on.
type imageKey struct {
	name, policy, requirements string
}

// imageCall is a look-up that has been made, or is being made, in this drive.
type imageCall struct {
	done    bool
	image   resolved
	err     error
	waiters []func()
}

// resolveImages finds the images of n's containers and calls then, at once where
// all are known. Each image is looked up once in a drive.
func (d *drive) resolveImages(n *node, then func(error)) {
	calls := make([]*imageCall, len(n.comp.Pod.Containers))
	left := 0
	finish := func() {
		n.image = nil
		for _, c := range calls {
			if c.err != nil {
				then(c.err)
				return
			}
			n.image = append(n.image, c.image)
		}
		then(nil)
	}
	for i := range n.comp.Pod.Containers {
		call, err := d.imageCall(n, &n.comp.Pod.Containers[i])
		if err != nil {
			then(err)
			return
		}
		calls[i] = call
		if !call.done {
			left++
			call.waiters = append(call.waiters, func() {
				if left--; left == 0 {
					finish()
				}
			})
		}
	}
	if left == 0 {
		finish()
	}
}

func (d *drive) imageCall(n *node, c *Container) (*imageCall, error) {
	name, err := render{run: d.run, node: n}.text(c.Image)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	key := imageKey{name, string(c.PullPolicy), strings.Join(c.Requirements, "\n")}
	if call, ok := d.images[key]; ok {
		return call, nil
	}
	call := &imageCall{}
	d.images[key] = call
	d.spawn(func() func() {
		image, err := d.findImage(name, c.PullPolicy, c.Requirements)
		return func() {
			call.done, call.image, call.err = true, image, err
			if image.Emulated {
				d.note("image %s is for %s and runs emulated here: expect it to be many times slower", name, image.Platform)
			}
			for _, w := range call.waiters {
				w()
			}
		}
	})
	return call, nil
}

// findImage looks up an image by its name in the file: through the aliases, built
// where the alias says so. It runs beside the loop.
func (d *drive) findImage(name string, policy runner.PullPolicy, reqs runner.Requirements) (resolved, error) {
	reqs = slices.Clone(reqs)
	alias := d.run.Options.Images[name]
	if alias.Image != "" {
		name = alias.Image
	}
	o := runner.ResolveOptions{Platform: d.run.Options.Platform, Policy: policy, Env: reqs}
	o.Progress = func(p runner.Progress) { d.post(func() { d.note("%s", pullNote(p)) }) }
	if alias.Build == nil {
		img, err := d.resolve(name, o)
		return resolved{Image: img, requirements: reqs}, err
	}
	b := *alias.Build
	if !d.Backend.Features().Images {
		for _, r := range b.Requirements {
			if !slices.Contains(reqs, r) {
				reqs = append(reqs, r)
			}
		}
		o.Env = reqs
		img, err := d.resolve(b.Base, o)
		return resolved{Image: img, requirements: reqs}, err
	}
	img, err := d.buildImage(b, o)
	return resolved{Image: img, requirements: reqs}, err
}

// resolve looks an image up, patiently.
func (d *drive) resolve(name string, o runner.ResolveOptions) (img runner.Image, err error) {
	err = d.patiently(func() error {
		img, err = d.Backend.Resolve(d.ops, name, o)
		return err
	})
	return img, err
}

// buildImage builds an image, unless one of the same derivation is there. Its
// identity is the derivation, so that two machines agree on cache keys.
func (d *drive) buildImage(b runner.BuildSpec, o runner.ResolveOptions) (runner.Image, error) {
	builder, ok := d.Backend.(runner.Builder)
	if !ok {
		return runner.Image{}, fmt.Errorf("build image %q: the %s backend builds no images", b.Name, d.Backend.Features().Name)
	}
	if b.Context == "" {
		base, err := d.resolve(b.Base, o)
		if err != nil {
			return runner.Image{}, err
		}
		b.Base, b.BaseIdentity = base.Ref, base.Identity
		b.Derivation = digestOf(jsonText([]any{"requirements", base.Identity, b.Requirements}))
	} else {
		context, _, err := d.Artifacts.Import(d.ops, b.Context)
		if err != nil {
			return runner.Image{}, fmt.Errorf("build image %q: %w", b.Name, err)
		}
		b.Derivation = digestOf(jsonText([]any{"context", context, b.Dockerfile, o.Platform}))
	}
	b.CABundle = d.run.Options.Trust
	started := time.Now()
	lines := 0
	var last []string // what a failed build shows
	img, err := builder.Build(d.ops, b, func(line string) {
		first := lines == 0
		lines++
		last = append(last, line)[max(0, len(last)-9):]
		d.post(func() {
			if first {
				d.note("building image %s, once", b.Name)
			}
			d.detail("build %s: %s", b.Name, line)
		})
	})
	if err == nil && lines > 0 {
		d.post(func() { d.note("built image %s in %.0f s", b.Name, time.Since(started).Seconds()) })
	}
	if err != nil {
		d.post(func() {
			for _, line := range last {
				d.note("build %s: %s", b.Name, line)
			}
		})
	}
	if err != nil && !isHinted(err) {
		err = fmt.Errorf("build image %q: %w", b.Name, err)
	}
	return img, err
}

func isHinted(err error) bool {
	var h interface{ Hint() string }
	return errors.As(err, &h)
}

func pullNote(p runner.Progress) string {
	if p.Total > 0 {
		return fmt.Sprintf("pull %s: %s of %s %s", p.Image, FormatBytes(p.Done), FormatBytes(p.Total), p.Status)
	}
	return strings.TrimSpace(fmt.Sprintf("pull %s: %s", p.Image, p.Status))
}
