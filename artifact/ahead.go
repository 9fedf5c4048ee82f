package artifact

import (
	"context"
	"hash"
	"io"
)

// aheadOf is from what size on, in bytes, a file is hashed while more of it is read.
const aheadOf = 4 << 20

// drink hashes what r holds, and writes it to w where that is not nil, until ctx ends.
// Of a large file (size, in bytes) the hash has a goroutine of its own: reading and
// writing then cost no time where the hash is slower than both.
func drink(ctx context.Context, h hash.Hash, w io.Writer, r io.Reader, size int64) (int64, error) {
	if size < aheadOf {
		if w == nil {
			return pour(ctx, h, r)
		}
		return pour(ctx, io.MultiWriter(h, w), r)
	}
	a := newAside(h)
	defer a.close()
	n := int64(0)
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		buf := <-a.free
		k, err := r.Read(*buf)
		if k > 0 && w != nil {
			if _, err := w.Write((*buf)[:k]); err != nil {
				a.free <- buf
				return n, err
			}
		}
		n += int64(k)
		a.full <- read{buf, k}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// aside hashes beside the one who reads. There are as many buffers as the channels
// hold: neither is ever waited for but where there is nothing to do.
type aside struct {
	free chan *[]byte
	full chan read
	done chan struct{}
}

// read is a buffer with n bytes in it.
type read struct {
	buf *[]byte
	n   int
}

func newAside(h hash.Hash) *aside {
	const ahead = 3
	a := &aside{free: make(chan *[]byte, ahead), full: make(chan read, ahead), done: make(chan struct{})}
	for range ahead {
		a.free <- buffers.Get().(*[]byte)
	}
	go func() {
		defer close(a.done)
		for r := range a.full {
			h.Write((*r.buf)[:r.n]) // a hash returns no error
			a.free <- r.buf
		}
	}()
	return a
}

// close waits until all that was read is hashed.
func (a *aside) close() {
	close(a.full)
	<-a.done
	for range cap(a.free) {
		buffers.Put(<-a.free)
	}
}
