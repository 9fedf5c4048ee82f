package dag

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wherry-ml/wherry/runner"
)

// ImageSet is what a run needs of the engine.
type ImageSet struct {
	Images []runner.Image // by name, each once: bases, layers, what is built of folders
	Open   []string       // components whose image only the run will tell
	Always []string       // images whose pull policy asks their registry at each run
}

// Images finds the images of all components of a run, as the run would: they are
// pulled and built where they are not there. Nothing is run.
func (d *Driver) Images(ctx context.Context, run *Run) (*ImageSet, error) {
	seen := &recorder{Backend: d.Backend, images: map[string]runner.Image{}}
	asking := *d
	asking.Backend = seen
	dr := &drive{Driver: &asking, run: run, ops: ctx, events: make(chan func(), 64)}
	said := make(chan struct{})
	go func() { // what is posted while an image is looked for
		defer close(said)
		for apply := range dr.events {
			apply()
		}
	}()
	set, err := dr.imageSet()
	close(dr.events)
	<-said
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(seen.images) {
		set.Images = append(set.Images, seen.images[name])
	}
	return set, nil
}

func (d *drive) imageSet() (*ImageSet, error) {
	set := &ImageSet{}
	for _, name := range sortedKeys(d.run.Pipeline.Components) {
		c := d.run.Pipeline.Components[name]
		if c.Pod == nil {
			continue
		}
		for i := range c.Pod.Containers {
			one := &c.Pod.Containers[i]
			if slices.ContainsFunc(one.Image, func(p Part) bool { return p.Ref != nil }) {
				set.Open = append(set.Open, name)
				continue
			}
			image := one.Image.literal()
			if one.PullPolicy == runner.PullAlways && !slices.Contains(set.Always, image) {
				set.Always = append(set.Always, image)
			}
			// What is there counts: a run would have pulled it a moment ago.
			found, err := d.findImage(image, runner.PullMissing, one.layer(d.run.Options))
			if err == nil && found.make != nil {
				_, err = found.make()
			}
			if err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
		}
	}
	return set, nil
}

// recorder notes what images a backend has found or built.
type recorder struct {
	runner.Backend
	mu     sync.Mutex
	images map[string]runner.Image
}

func (r *recorder) note(im runner.Image, err error) (runner.Image, error) {
	if err == nil && im.Name != "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		if strings.HasPrefix(im.Name, "sha256:") && slices.ContainsFunc(sortedKeys(r.images), func(name string) bool { return r.images[name].Ref == im.Name }) {
			return im, err // it has a name already
		}
		r.images[im.Name] = im
	}
	return im, err
}

// Resolve implements runner.Backend.
func (r *recorder) Resolve(ctx context.Context, image string, o runner.ResolveOptions) (runner.Image, error) {
	return r.note(r.Backend.Resolve(ctx, image, o))
}

// Build implements runner.Builder.
func (r *recorder) Build(ctx context.Context, b runner.BuildSpec, log func(string)) (runner.Image, error) {
	builder, ok := r.Backend.(runner.Builder)
	if !ok {
		return runner.Image{}, fmt.Errorf("the %s backend builds no images", r.Features().Name)
	}
	return r.note(builder.Build(ctx, b, log))
}
