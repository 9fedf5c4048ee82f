package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// maxLine is the longest line that is handed on whole, in bytes. What is longer
// comes in several, all but the last of which are Partial.
const maxLine = 1 << 20

// Logs yields the lines of the pod, as runner.Backend says. The lines of several
// containers are in order of time; with o.Follow as far as they are there. A pod
// that is gone is runner.ErrLost.
func (b *Backend) Logs(ctx context.Context, pod string, o runner.LogOptions) iter.Seq2[runner.Line, error] {
	return func(yield func(runner.Line, error) bool) {
		if err := b.logs(ctx, b.pod(pod), o, func(l runner.Line) bool { return yield(l, nil) }); err != nil {
			yield(runner.Line{}, fmt.Errorf("read the log of pod %q: %w", pod, err))
		}
	}
}

func (b *Backend) logs(ctx context.Context, d podDir, o runner.LogOptions, yield func(runner.Line) bool) error {
	if !d.exists() {
		return runner.ErrLost
	}
	m := &merger{dir: d, only: o.Container, since: o.Since}
	defer m.close()
	out := &tail{n: o.Tail, yield: yield}
	if !o.Follow {
		if err := m.read(ctx, true, out.add); err != nil {
			return err
		}
		out.flush()
		return nil
	}
	sub := b.hub.subscribe(d.name())
	defer sub.close()
	defer sub.watchLogs(d.logs())()
	for {
		// Look before reading, so that the last lines are read after the end is seen.
		st, err := d.look()
		if err != nil {
			return err
		}
		over := st.phase == runner.PhaseEnded || st.phase == runner.PhaseGone
		if err := m.read(ctx, over, out.add); err != nil {
			return err
		}
		if out.flush(); over || out.stopped {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sub.wake:
			sub.take()
		}
	}
}

// tail hands on lines, at first only the last n of those that are there.
type tail struct {
	n       int // 0: all
	lines   []runner.Line
	at      int // of the oldest in lines, once it is full
	yield   func(runner.Line) bool
	stopped bool // the taker wants no more
}

// add takes a line and reports whether more are wanted.
func (t *tail) add(l runner.Line) bool {
	switch {
	case t.n == 0:
		t.stopped = !t.yield(l)
	case len(t.lines) < t.n:
		t.lines = append(t.lines, l)
	default:
		t.lines[t.at] = l
		t.at = (t.at + 1) % t.n
	}
	return !t.stopped
}

// flush hands on what was kept. From now on every line is wanted.
func (t *tail) flush() {
	kept := slices.Concat(t.lines[t.at:], t.lines[:t.at])
	t.n, t.lines, t.at = 0, nil, 0
	for _, l := range kept {
		if !t.add(l) {
			return
		}
	}
}

// merger reads the logs of a pod's containers together.
type merger struct {
	dir     podDir
	only    string
	since   time.Time
	readers []*logReader
}

// open finds logs that weren't there before.
func (m *merger) open() error {
	entries, err := os.ReadDir(m.dir.logs())
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".log")
		has := func(r *logReader) bool { return r.container == name }
		if !ok || m.only != "" && m.only != name || slices.ContainsFunc(m.readers, has) {
			continue
		}
		f, err := os.Open(filepath.Join(m.dir.logs(), e.Name()))
		if err != nil {
			return err
		}
		m.readers = append(m.readers, newLogReader(name, f, m.since))
	}
	return nil
}

// read yields, in order of time, all whole lines that are there. ended: nothing
// will be added, so that what has no newline is yielded too.
func (m *merger) read(ctx context.Context, ended bool, yield func(runner.Line) bool) error {
	if err := m.open(); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var first *logReader
		for _, r := range m.readers {
			ok, err := r.peek(ended)
			if err != nil {
				return err
			}
			if ok && (first == nil || r.next.Time.Before(first.next.Time)) {
				first = r
			}
		}
		if first == nil {
			return nil
		}
		line := first.take()
		if !yield(line) {
			return nil
		}
	}
}

func (m *merger) close() {
	for _, r := range m.readers {
		r.file.Close()
	}
}

// logReader reads one container's log line by line, joining the chunks of long
// ones.
type logReader struct {
	container string
	file      *os.File
	r         *bufio.Reader
	since     time.Time
	record    []byte // of which the newline isn't there yet
	chunks    map[runner.Stream]*runner.Line
	next      *runner.Line
}

func newLogReader(container string, f *os.File, since time.Time) *logReader {
	return &logReader{container: container, file: f, r: bufio.NewReaderSize(f, 64<<10), since: since,
		chunks: map[runner.Stream]*runner.Line{}}
}

func (r *logReader) take() runner.Line {
	l := *r.next
	r.next = nil
	return l
}

// peek makes r.next the next line and reports whether there is one.
func (r *logReader) peek(ended bool) (bool, error) {
	for r.next == nil {
		part, err := r.r.ReadSlice('\n')
		if err == nil && len(r.record) == 0 {
			r.parse(part)
			continue
		}
		r.record = append(r.record, part...)
		switch {
		case err == nil:
			r.parse(r.record)
			r.record = r.record[:0]
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return ended && r.rest(), nil
		default:
			return false, err
		}
	}
	return true, nil
}

// parse takes one record: it completes r.next, or is a chunk of it. One that a
// full disk cut off is passed over.
func (r *logReader) parse(record []byte) {
	when, rest, ok1 := bytes.Cut(bytes.TrimSuffix(record, []byte{'\n'}), []byte{' '})
	stream, rest, ok2 := bytes.Cut(rest, []byte{' '})
	tag, text, ok3 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !ok3 {
		return
	}
	at, err := time.Parse(stamp, string(when))
	if err != nil || !at.After(r.since) {
		return
	}
	s := runner.Stdout
	if string(stream) == string(runner.Stderr) {
		s = runner.Stderr
	}
	l := r.chunks[s]
	if l == nil {
		l = &runner.Line{Container: r.container, Stream: s}
	}
	l.Time, l.Text = at, append(l.Text, text...)
	l.Partial = string(tag) != "F"
	if l.Partial && len(l.Text) < maxLine {
		r.chunks[s] = l
		return
	}
	delete(r.chunks, s)
	r.next = l
}

// rest makes r.next what a stream wrote without a newline at its end.
func (r *logReader) rest() bool {
	for s, l := range r.chunks {
		if r.next == nil || l.Time.Before(r.next.Time) {
			r.next = r.chunks[s]
		}
	}
	if r.next != nil {
		delete(r.chunks, r.next.Stream)
	}
	return r.next != nil
}
