package artifact

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

const chunk = 1 << 20 // bytes read at once

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// pour copies r to w through a large buffer until ctx ends.
func pour(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var n int64
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		k, err := r.Read(*buf)
		if k > 0 {
			if _, err := w.Write((*buf)[:k]); err != nil {
				return n, err
			}
			n += int64(k)
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// hashFile is the sha256 of the file's content, which must stay as it was seen.
func hashFile(ctx context.Context, root *os.Root, rel string, seen stat) (sum, error) {
	f, err := openFile(root, rel, seen)
	if err != nil {
		return sum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := drink(ctx, h, nil, f, seen.size)
	if err != nil {
		return sum{}, err
	}
	return sum(h.Sum(nil)), unchanged(f, seen, n, path.Join(root.Name(), rel))
}

// unchanged returns a *ChangedError unless f is still as it was seen and n
// bytes long.
func unchanged(f *os.File, seen stat, n int64, name string) error {
	now, err := statFile(f)
	if err != nil {
		return err
	}
	if n != seen.size || !now.same(seen) {
		return &ChangedError{name}
	}
	return nil
}

// hashAll fills in the digests of all files below root.
func hashAll(ctx context.Context, root *os.Root, entries []entry) error {
	return parallel(ctx, entries, func(ctx context.Context, e *entry) error {
		if !e.isFile() {
			return nil
		}
		var err error
		e.sum, err = hashFile(ctx, root, e.path, e.stat)
		return err
	})
}

// parallel calls f for each entry, as many at once as there are processors.
func parallel(ctx context.Context, entries []entry, f func(context.Context, *entry) error) error {
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan *entry, 64)
	for range min(runtime.GOMAXPROCS(0), len(entries)) {
		g.Go(func() error {
			for e := range next {
				if err := f(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(next)
		for i := range entries {
			select {
			case next <- &entries[i]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return g.Wait()
}
