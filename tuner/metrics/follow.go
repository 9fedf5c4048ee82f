package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

const (
	followInterval = 200 * time.Millisecond
	followChunk    = 256 << 10
	maxFiles       = 256 // event files of one trial that are read
)

// FollowOptions say how a file is followed.
type FollowOptions struct {
	// Ended is closed when the trial has ended: what is there then is read to its
	// end, and Follow returns. Nil: never.
	Ended    <-chan struct{}
	Interval time.Duration // between looks; 0: 200 ms
}

// Follow reads the file name below root as it grows, and feeds p, until the
// trial has ended (nil) or ctx has (its error). It looks at intervals: one look at
// one file costs less than a watch of its folder, and works on every file system.
//
// The file may come late, and its folder too. A file that takes its name
// (rotation) is read from its beginning after the old one has been read to its
// end. A file that has become shorter is read anew from its beginning; one that was
// cut and has grown beyond what had been read, between two looks, is taken for
// the old one. Links that lead out of root are refused, and what is no plain file
// is not read: an error then names it, once the trial has ended.
func Follow(ctx context.Context, root *os.Root, name string, p Parser, o FollowOptions) error {
	t := &tail{root: root, name: name, parser: p}
	defer t.close()
	return poll(ctx, o, func(bool) error { return t.poll(ctx) }, func() error {
		p.End()
		return t.trouble
	})
}

// FollowTree follows all event files below the folder dir, to any depth: those
// with "tfevents" in their name, as TensorBoard does. The parser of each is made
// by parser, which gets its path below dir. Links are not followed. At most 256
// files are read; an error then says so once the trial has ended.
func FollowTree(ctx context.Context, root *os.Root, dir string, parser func(file string) Parser, o FollowOptions) error {
	t := &tree{root: root, dir: path.Clean(dir), parser: parser, tails: map[string]*tail{}}
	defer t.close()
	return poll(ctx, o, func(last bool) error { return t.poll(ctx, last) }, t.end)
}

// poll calls look at intervals, and once more after the trial has ended, then end.
func poll(ctx context.Context, o FollowOptions, look func(last bool) error, end func() error) error {
	interval := o.Interval
	if interval <= 0 {
		interval = followInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		ended := false
		select {
		case <-o.Ended:
			ended = true // before the look: what was written by then is seen
		default:
		}
		if err := look(ended); err != nil {
			return err
		}
		if ended {
			return end()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.Ended:
		case <-ticker.C:
		}
	}
}

// tail reads one file as it grows.
type tail struct {
	root    *os.Root
	name    string
	parser  Parser
	file    *os.File // nil as long as it isn't there
	read    int64    // bytes of file
	trouble error    // why it can't be read, at the last look
	buf     []byte
}

// poll reads what is new. Its error is ctx's.
func (t *tail) poll(ctx context.Context) error {
	t.trouble = nil
	if t.file == nil && !t.open() {
		return nil
	}
	for {
		if err := t.drain(ctx); err != nil {
			return err
		}
		if !t.replaced() {
			return nil
		}
		if err := t.drain(ctx); err != nil { // what was written to it before it lost its name
			return err
		}
		t.parser.End()
		t.close()
		if !t.open() {
			return nil
		}
	}
}

// open opens the file if it is there and is one.
func (t *tail) open() bool {
	// Without O_NONBLOCK a named pipe would hang us until somebody writes to it.
	f, err := t.root.OpenFile(t.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.trouble = err
		}
		return false
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file but %s", t.name, kind(info.Mode()))
	}
	if err != nil {
		f.Close()
		t.trouble = err
		return false
	}
	t.file, t.read = f, 0
	return true
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// drain reads to the end of the file as it is now.
func (t *tail) drain(ctx context.Context) error {
	info, err := t.file.Stat()
	if err != nil {
		t.trouble = err
		return nil
	}
	if info.Size() < t.read {
		t.parser.Reset()
		t.read = 0
	}
	if t.buf == nil {
		t.buf = make([]byte, followChunk)
	}
	for t.read < info.Size() { // not beyond: a file may grow faster than we read
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := t.file.ReadAt(t.buf[:min(int64(len(t.buf)), info.Size()-t.read)], t.read)
		t.read += int64(n)
		if n > 0 {
			t.parser.Feed(t.buf[:n], time.Now())
		}
		if err != nil && err != io.EOF {
			t.trouble = err
			return nil
		}
		if n == 0 {
			return nil
		}
	}
	return nil
}

// replaced says whether another file has the name by now. A file that lost its
// name and got no successor is kept: it may still be written to.
func (t *tail) replaced() bool {
	now, err := t.root.Stat(t.name)
	if err != nil {
		return false
	}
	info, err := t.file.Stat()
	return err == nil && !os.SameFile(now, info)
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// tree reads the event files of a folder as they come and grow.
type tree struct {
	root     *os.Root
	dir      string
	parser   func(file string) Parser
	tails    map[string]*tail
	order    []*tail
	over     bool // there are more than maxFiles
	buf      []byte
	nextWalk time.Time
}

func (t *tree) poll(ctx context.Context, last bool) error {
	// A folder of ten thousand checkpoints takes a while to list: not more than
	// a twentieth of the time.
	if start := time.Now(); last || !start.Before(t.nextWalk) {
		if err := t.walk(ctx); err != nil {
			return err
		}
		t.nextWalk = start.Add(20 * time.Since(start))
	}
	for _, f := range t.order {
		if err := f.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// walk looks for new event files. Its error is ctx's.
func (t *tree) walk(ctx context.Context) error {
	return fs.WalkDir(t.root.FS(), t.dir, func(file string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() || !strings.Contains(d.Name(), "tfevents") || t.tails[file] != nil {
			return nil // a folder may not be there yet, or go
		}
		if len(t.tails) >= maxFiles {
			t.over = true
			return nil
		}
		relative := file
		if t.dir != "." {
			relative = strings.TrimPrefix(file, t.dir+"/")
		}
		t.tails[file] = &tail{root: t.root, name: file, parser: t.parser(relative), buf: t.buffer()}
		t.order = append(t.order, t.tails[file])
		return nil
	})
}

// buffer is shared by all files of the tree, which are read one after another.
func (t *tree) buffer() []byte {
	if t.buf == nil {
		t.buf = make([]byte, followChunk)
	}
	return t.buf
}

func (t *tree) end() error {
	var errs []error
	for _, f := range t.order {
		f.parser.End()
		errs = append(errs, f.trouble)
	}
	if t.over {
		errs = append(errs, fmt.Errorf("%s has more than %d event files: the others are not read", t.dir, maxFiles))
	}
	return errors.Join(errs...)
}

func (t *tree) close() {
	for _, f := range t.order {
		f.close()
	}
}
