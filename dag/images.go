package dag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/redact"
	"github.com/wherry-ml/wherry/runner"
)

// imageKey is what an image look-up depends on.
type imageKey struct {
	name, policy, layer string
	build               bool // with its layers made
}

// imageCall is a look-up that has been made, or is being made, in this drive.
type imageCall struct {
	done    bool
	image   resolved
	err     error
	waiters []func()
}

// imagesError says that a task's images could not be had, or not its layers: trying
// again may help.
type imagesError struct{ err error }

func (e *imagesError) Error() string { return e.err.Error() }

// Unwrap returns what was wrong.
func (e *imagesError) Unwrap() error { return e.err }

// resolveImages finds the images of n's containers and calls then, at once where
// all are known. Each image is looked up once in a drive, unless that fails. Layers
// are not made yet: a cache key needs none.
func (d *drive) resolveImages(n *node, then func(error)) {
	var calls []*imageCall
	for i := range n.comp.Pod.Containers {
		call, err := d.imageCall(n, &n.comp.Pod.Containers[i])
		if err != nil {
			then(err)
			return
		}
		calls = append(calls, call)
	}
	n.image = nil
	gather(calls, func(images []resolved, err error) {
		n.image = images
		then(err)
	})
}

// makeImages makes the layers of n's images, once they are resolved, and calls then.
func (d *drive) makeImages(n *node, then func(error)) {
	var calls []*imageCall
	for _, image := range n.image {
		if image.make == nil {
			calls = append(calls, &imageCall{done: true, image: image})
			continue
		}
		key := image.key
		key.build = true
		calls = append(calls, d.callOnce(key, func() (resolved, error) {
			img, err := image.make()
			image.Image, image.make = img, nil
			return image, err
		}))
	}
	gather(calls, func(images []resolved, err error) {
		n.image = images
		then(err)
	})
}

// haveImages is resolveImages and makeImages.
func (d *drive) haveImages(n *node, then func(error)) {
	d.resolveImages(n, func(err error) {
		if err != nil {
			then(err)
			return
		}
		d.makeImages(n, then)
	})
}

// imagesMade reports whether n's images can be run.
func (n *node) imagesMade() bool {
	return n.image != nil && !slices.ContainsFunc(n.image, func(r resolved) bool { return r.make != nil })
}

// gather calls then with the images of all calls, or the first error and none, at
// once where all calls have ended.
func gather(calls []*imageCall, then func([]resolved, error)) {
	left := 0
	finish := func() {
		var images []resolved
		for _, c := range calls {
			if c.err != nil {
				then(nil, &imagesError{c.err})
				return
			}
			images = append(images, c.image)
		}
		then(images, nil)
	}
	for _, call := range calls {
		if call.done {
			continue
		}
		left++
		call.waiters = append(call.waiters, func() {
			if left--; left == 0 {
				finish()
			}
		})
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
	layer := c.layer(d.run.Options)
	key := imageKey{name: name, policy: string(c.PullPolicy), layer: layer.Digest()}
	return d.callOnce(key, func() (resolved, error) {
		image, err := d.findImage(name, c.PullPolicy, layer)
		if image.Emulated {
			d.post(func() {
				d.note("image %s is for %s and runs emulated here: expect it to be many times slower", name, image.Platform)
			})
		}
		image.key = key
		return image, err
	}), nil
}

// callOnce runs f beside the loop, unless that has been done, or is being done, for
// the key. What failed is forgotten: who comes later tries again.
func (d *drive) callOnce(key imageKey, f func() (resolved, error)) *imageCall {
	if call, ok := d.images[key]; ok {
		return call
	}
	call := &imageCall{}
	d.images[key] = call
	d.spawn(func() func() {
		image, err := f()
		return func() {
			call.done, call.image, call.err = true, image, err
			if err != nil {
				delete(d.images, key)
			}
			for _, w := range call.waiters {
				w()
			}
		}
	})
	return call
}

// findImage looks up an image by its name in the file: through the aliases, built
// where the alias says so, and with what the container's command wants of pip on
// top. It runs beside the loop.
func (d *drive) findImage(name string, policy runner.PullPolicy, own *runner.Layer) (resolved, error) {
	alias := d.run.Options.Images[name]
	if alias.Image != "" {
		name = alias.Image
	}
	o := runner.ResolveOptions{Platform: d.run.Options.Platform, Policy: policy}
	o.Progress = func(p runner.Progress) { d.post(func() { d.note("%s", pullNote(p)) }) }
	var layers []*runner.Layer
	tags := map[*runner.Layer]string{}
	switch b := alias.Build; {
	case b == nil:
	case b.Context != "":
		img, err := d.buildContext(*b, o)
		if err != nil || own.Empty() {
			return resolved{Image: img}, err
		}
		return d.addLayers(img, o, []*runner.Layer{own}, nil), nil
	default:
		name = b.Base
		if l := b.Layer; !l.Empty() {
			tags[l] = b.Name
			layers = append(layers, l)
		}
	}
	if !own.Empty() {
		layers = append(layers, own)
	}
	if !d.Backend.Features().Images {
		o.Layer = joinLayers(layers)
		img, err := d.resolve(name, o)
		return resolved{Image: img, layers: layers}, err
	}
	img, err := d.resolve(name, o)
	if err != nil || len(layers) == 0 {
		return resolved{Image: img}, err
	}
	return d.addLayers(img, o, layers, tags), nil
}

// addLayers puts layers on an image, one on the other, to be made by whoever runs
// it. Cache keys see the image below and what is added, so that two machines agree.
func (d *drive) addLayers(img runner.Image, o runner.ResolveOptions, layers []*runner.Layer, tags map[*runner.Layer]string) resolved {
	out := resolved{Image: img, base: img.Identity, layers: layers}
	out.make = func() (runner.Image, error) {
		top := img
		for _, l := range layers {
			b := runner.BuildSpec{
				Name: tags[l], Base: top.Ref, Platform: o.Platform, Layer: l, CABundle: d.run.Options.Trust, Offline: d.run.Options.Network == runner.NetworkNone,
				Derivation: digestOf(jsonText([]any{"layer", top.Identity, l.Digest()})),
			}
			if b.Name == "" {
				b.Name = "wherry/layer:" + strings.TrimPrefix(b.Derivation, "sha256:")[:16]
			}
			next, err := d.buildImage(b, fmt.Sprintf("layer for %s on %s", strings.Join(l.Packages(), " "), img.Name))
			if err != nil {
				return top, err
			}
			next.Emulated = img.Emulated
			top = next
		}
		return top, nil
	}
	return out
}

// resolve looks an image up, patiently.
func (d *drive) resolve(name string, o runner.ResolveOptions) (img runner.Image, err error) {
	err = d.patiently(func() error {
		img, err = d.Backend.Resolve(d.ops, name, o)
		return err
	})
	return img, err
}

// buildContext builds an image of a folder with a Dockerfile.
func (d *drive) buildContext(b runner.BuildSpec, o runner.ResolveOptions) (runner.Image, error) {
	context, err := d.Artifacts.Context(d.ops, b.Context, orElse(b.Dockerfile, "Dockerfile"))
	if err != nil {
		return runner.Image{}, fmt.Errorf("build image %q: %w", b.Name, err)
	}
	b.Derivation = digestOf(jsonText([]any{"context", context, b.Dockerfile, o.Platform}))
	b.CABundle = d.run.Options.Trust
	return d.buildImage(b, "image "+b.Name)
}

// buildImage builds an image, unless one of the same derivation is there. Its
// identity is the derivation. The error of a build holds its last lines.
func (d *drive) buildImage(b runner.BuildSpec, what string) (img runner.Image, err error) {
	builder, ok := d.Backend.(runner.Builder)
	if !ok {
		return runner.Image{}, fmt.Errorf("build %s: the %s backend builds no images", what, d.Backend.Features().Name)
	}
	started := time.Now()
	lines := 0
	err = d.patiently(func() error {
		img, err = builder.Build(d.ops, b, func(line string) {
			lines++
			first := lines == 1
			d.post(func() {
				if first {
					d.note("building %s, once", what)
				}
				d.detail("build: %s", redact.Text(line))
			})
		})
		return err
	})
	switch {
	case err == nil && lines > 0:
		d.post(func() { d.note("built %s in %.1f s", what, time.Since(started).Seconds()) })
	case err != nil && !isHinted(err):
		err = fmt.Errorf("build %s: %w", what, err)
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
