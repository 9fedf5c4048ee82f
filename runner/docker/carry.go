package docker

import (
	"context"
	"io"
)

// SaveImage returns an image by its name, with what it is made of, as docker save
// does.
func (b *Backend) SaveImage(ctx context.Context, name string) (io.ReadCloser, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return nil, err
	}
	r, err := e.ImageSave(ctx, []string{name})
	return r, e.failed(err, "save image %q", name)
}

// LoadImages takes in images as docker load does.
func (b *Backend) LoadImages(ctx context.Context, archive io.Reader) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	resp, err := e.ImageLoad(ctx, archive)
	if err != nil {
		return e.failed(err, "load images")
	}
	defer resp.Body.Close()
	return e.failed(decodeMessages(resp.Body, func(message) error { return nil }), "load images")
}

// ImageID returns the id of an image by its name; empty where the engine has none.
func (b *Backend) ImageID(ctx context.Context, name string) (string, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return "", err
	}
	info, err := e.ImageInspect(ctx, name)
	if isNotFound(err) {
		return "", nil
	}
	return info.ID, e.failed(err, "look up image %q", name)
}
