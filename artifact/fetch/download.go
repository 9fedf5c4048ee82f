package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// parallel is how many files of a directory are fetched at once.
const parallel = 8

// file is one file that a source has.
type file struct {
	path    string // below the directory; "": the URI names this file
	key     string // what the source calls it
	size    int64  // -1: not known yet
	version string // what it must still be when it is taken up again; may be empty
	counted bool   // the meter expects it
}

// source is where files come from.
type source interface {
	// open reads x from an offset on. It may begin earlier, and fills in the size
	// and version of x where they are not known. An error that may pass is an
	// *Error that says so.
	open(ctx context.Context, x *file, offset int64) (body io.ReadCloser, start int64, err error)
}

// files fetches files from src: the one that has no path, or a directory of them.
func (j *job) files(ctx context.Context, src source, all []file) error {
	for i := range all {
		j.expect(&all[i])
	}
	if len(all) == 1 && all[0].path == "" {
		return j.download(ctx, src, &all[0], j.name)
	}
	if err := j.dir.Mkdir(j.name, 0o755); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range all {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			at, err := j.place(all[i].path)
			if err != nil {
				return err
			}
			return j.download(ctx, src, &all[i], at)
		})
	}
	return g.Wait()
}

// expect has the meter expect x, once its size is known.
func (j *job) expect(x *file) {
	if x.size >= 0 && !x.counted {
		x.counted = true
		j.meter.expect(x.size)
	}
}

// place makes the folders in which a file from elsewhere will lie and returns its
// name in j.dir. The names are not ours, and must not lead out of the directory.
func (j *job) place(rel string) (string, error) {
	if !filepath.IsLocal(rel) || path.Clean(rel) != rel || rel == "." {
		return "", j.failed(fmt.Sprintf("%q can't be the name of a file below it", rel), "rename it there, or import what is beside it", nil)
	}
	at := path.Join(j.name, rel)
	if err := j.dir.MkdirAll(path.Dir(at), 0o755); err != nil {
		return "", fmt.Errorf("import %s: %w", j.shown(), err)
	}
	return at, nil
}

// maxTries is how often in a row something may fail that may pass, without a byte
// in between.
const maxTries = 5

// download fetches one file to at in j.dir.
func (j *job) download(ctx context.Context, src source, x *file, at string) error {
	out, err := j.dir.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("import %s: %w", j.shown(), err)
	}
	defer out.Close()
	var done int64
	for tries := 1; ; tries++ {
		before := done
		done, err = j.pour(ctx, src, x, out, done)
		if err == nil {
			return out.Close()
		}
		if done > before {
			tries = 1
		}
		if !again(err) || tries >= maxTries {
			return err
		}
		if err := pause(ctx, tries); err != nil {
			return err
		}
	}
}

// pour appends what src has from done on, and returns how much is there now.
func (j *job) pour(ctx context.Context, src source, x *file, out *os.File, done int64) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	body, start, err := src.open(ctx, x, done)
	if err != nil {
		return done, j.because(ctx, err)
	}
	defer body.Close()
	j.expect(x)
	if start != done {
		j.meter.add(start - done)
		if err := out.Truncate(start); err != nil {
			return start, err
		}
		if _, err := out.Seek(start, io.SeekStart); err != nil {
			return start, err
		}
	}
	n, err := j.copy(out, body, func() { watchdog.Reset(stall) })
	done = start + n
	if err == nil && x.size >= 0 && done != x.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return done, j.because(ctx, err)
	}
	return done, nil
}

// because is err as what it means, given why ctx may have ended.
func (j *job) because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errStalled) {
		return cause
	} else if cause != nil {
		err = cause
	}
	return j.network(err)
}

// copy copies body to out and calls alive after each piece.
func (j *job) copy(out io.Writer, body io.Reader, alive func()) (int64, error) {
	buf := make([]byte, 256<<10)
	var n int64
	for {
		k, err := body.Read(buf)
		if k > 0 {
			alive()
			if _, err := out.Write(buf[:k]); err != nil {
				return n, err
			}
			n += int64(k)
			j.meter.add(int64(k))
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// patiently repeats f while it fails with what may pass.
func patiently(ctx context.Context, f func() error) error {
	for tries := 1; ; tries++ {
		err := f()
		if err == nil || !again(err) || tries >= maxTries {
			return err
		}
		if err := pause(ctx, tries); err != nil {
			return err
		}
	}
}

// pause waits before the next try: 0.2, 0.4, 0.8, … seconds, give or take a half.
func pause(ctx context.Context, tries int) error {
	wait := 200 * time.Millisecond << (tries - 1)
	wait = wait/2 + rand.N(wait)
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// meter adds up what has come.
type meter struct {
	report      func(done, total int64)
	mu          sync.Mutex
	done, total int64
	last        time.Time
}

func newMeter(report func(done, total int64)) *meter { return &meter{report: report} }

// expect adds to what will come.
func (m *meter) expect(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.report != nil && time.Since(m.last) >= 100*time.Millisecond {
		m.last = time.Now()
		m.report(m.done, m.total)
	}
}

// restart forgets what has come.
func (m *meter) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done, m.total = 0, 0
}
