package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wherry-ml/wherry/runner"
)

// maxLine bounds the memory for one line; what is longer comes in parts.
const maxLine = 1 << 20

// Logs yields what the pod's containers wrote. Lines of several containers are
// in the order of their times, or with o.Follow as they come.
func (b *Backend) Logs(ctx context.Context, pod string, o runner.LogOptions) iter.Seq2[runner.Line, error] {
	return func(yield func(runner.Line, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		e, err := b.connect.engine(ctx)
		if err != nil {
			yield(runner.Line{}, err)
			return
		}
		units, err := b.logUnits(ctx, e, pod, o.Container)
		if err != nil {
			yield(runner.Line{}, err)
			return
		}
		seqs := make([]iter.Seq2[runner.Line, error], len(units))
		for i, u := range units {
			seqs[i] = b.unitLogs(ctx, e, pod, u, o)
		}
		switch {
		case len(seqs) == 1:
			seqs[0](yield)
		case o.Follow:
			interleave(ctx, cancel, seqs, yield)
		default:
			merge(seqs, yield)
		}
	}
}

// logUnits finds the containers whose logs are wanted, without asking where the
// pod is known to have one.
func (b *Backend) logUnits(ctx context.Context, e *engine, pod, only string) ([]unit, error) {
	b.mu.Lock()
	s := b.pods[pod]
	plain := s != nil && !s.multi && (s.phase == runner.PhaseRunning || s.phase == runner.PhaseEnded) && s.container != ""
	name := ""
	if plain {
		name = s.container
	}
	b.mu.Unlock()
	if plain && (only == "" || only == name) {
		return []unit{{id: pod, name: name, status: "running"}}, nil
	}
	v, err := b.observe(ctx, e, pod)
	if err != nil {
		return nil, err
	}
	if len(v.units) == 0 {
		return nil, fmt.Errorf("logs of pod %s: %w", pod, runner.ErrLost)
	}
	if only == "" {
		return v.units, nil
	}
	for _, u := range v.units {
		if u.name == only {
			return []unit{u}, nil
		}
	}
	return nil, fmt.Errorf("pod %s has no container %q", pod, only)
}

// unitLogs yields one container's lines. With o.Follow it waits for one that
// has yet to start.
func (b *Backend) unitLogs(ctx context.Context, e *engine, pod string, u unit, o runner.LogOptions) iter.Seq2[runner.Line, error] {
	return func(yield func(runner.Line, error) bool) {
		if u.fresh() {
			if !o.Follow {
				return
			}
			if started, err := b.awaitStart(ctx, e, pod, u.name); !started {
				if err != nil {
					yield(runner.Line{}, err)
				}
				return
			}
		}
		opts := container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: o.Follow}
		if !o.Since.IsZero() {
			opts.Since = fmt.Sprintf("%d.%09d", o.Since.Unix(), o.Since.Nanosecond())
		}
		if o.Tail > 0 {
			opts.Tail = strconv.Itoa(o.Tail)
		}
		rc, err := e.ContainerLogs(ctx, u.id, opts)
		if isNotFound(err) || isConflict(err) { // a conflict: it is being removed
			err = errors.Join(runner.ErrLost, err)
		}
		if err != nil {
			yield(runner.Line{}, e.failed(err, "logs of %s", u.id))
			return
		}
		defer rc.Close()
		err = readLines(rc, func(l runner.Line) bool {
			l.Container = u.name
			return !o.Since.IsZero() && !l.Time.After(o.Since) || yield(l, nil)
		})
		if err != nil && ctx.Err() == nil {
			yield(runner.Line{}, e.failed(err, "read logs of %s", u.id))
		}
	}
}

// awaitStart waits until a container of a pod that works on has started; false
// if it never will.
func (b *Backend) awaitStart(ctx context.Context, e *engine, pod, name string) (bool, error) {
	for {
		v, err := b.observe(ctx, e, pod)
		if err != nil {
			return false, err
		}
		for _, u := range v.units {
			if u.name == name && !u.fresh() {
				return !u.unstartable(), nil
			}
		}
		if p := v.phase(); p == runner.PhaseEnded || p == runner.PhaseGone {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lineReader joins the engine's chunks to lines. A chunk is at most 16 KiB; the
// chunks of one line bear the time of its first and, but for the last of them
// on newer engines, no newline.
type lineReader struct {
	yield   func(runner.Line) bool
	pending map[runner.Stream]*runner.Line
	chunks  map[runner.Stream]int
}

// readLines reads a log as the engine sends it: frames of a stream's number, a
// size and a time followed by the chunk. It ends early when yield says so.
func readLines(r io.Reader, yield func(runner.Line) bool) error {
	lr := &lineReader{yield: yield, pending: map[runner.Stream]*runner.Line{}, chunks: map[runner.Stream]int{}}
	br := bufio.NewReaderSize(r, 64<<10)
	var head [8]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(br, head[:]); err == io.EOF {
			_ = lr.flush(runner.Stdout) && lr.flush(runner.Stderr)
			return nil
		} else if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[4:]))
		if n > 64<<20 {
			return fmt.Errorf("a frame of %d bytes", n)
		}
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(br, buf); err != nil {
			return err
		}
		stream := runner.Stdout
		switch head[0] {
		case 2:
			stream = runner.Stderr
		case 3:
			return fmt.Errorf("the engine reports: %s", bytes.TrimSpace(buf))
		}
		if more, err := lr.chunk(stream, buf); err != nil || !more {
			return err
		}
	}
}

// chunk adds one chunk; false when the reader wants no more.
func (lr *lineReader) chunk(stream runner.Stream, b []byte) (bool, error) {
	stamp, text, ok := bytes.Cut(b, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if !ok || err != nil {
		return false, fmt.Errorf("a log entry without a time: %.40q", b)
	}
	p := lr.pending[stream]
	if p != nil && !p.Time.Equal(at) { // the end of a long line bears no newline on older engines
		p.Partial = false
		if !lr.flush(stream) {
			return false, nil
		}
		p = nil
	}
	if p == nil {
		p = &runner.Line{Time: at, Stream: stream}
		lr.pending[stream] = p
	}
	text, whole := bytes.CutSuffix(text, []byte("\n"))
	p.Text = append(p.Text, text...)
	lr.chunks[stream]++
	p.Partial = !whole && lr.chunks[stream] == 1
	switch {
	case whole:
		return lr.flush(stream), nil
	case len(p.Text) >= maxLine:
		p.Partial = true
		return lr.flush(stream), nil
	}
	return true, nil
}

func (lr *lineReader) flush(stream runner.Stream) bool {
	p := lr.pending[stream]
	delete(lr.pending, stream)
	lr.chunks[stream] = 0
	return p == nil || lr.yield(*p)
}

// merge yields the lines of all in the order of their times.
func merge(seqs []iter.Seq2[runner.Line, error], yield func(runner.Line, error) bool) {
	type source struct {
		next func() (runner.Line, error, bool)
		line runner.Line
		err  error
		ok   bool
	}
	var sources []*source
	for _, seq := range seqs {
		next, stop := iter.Pull2(seq)
		defer stop()
		s := &source{next: next}
		s.line, s.err, s.ok = next()
		sources = append(sources, s)
	}
	for {
		var first *source
		for _, s := range sources {
			if s.ok && (first == nil || s.line.Time.Before(first.line.Time)) {
				first = s
			}
		}
		if first == nil || !yield(first.line, first.err) || first.err != nil {
			return
		}
		first.line, first.err, first.ok = first.next()
	}
}

// interleave yields the lines of all as they come. cancel ends the reading of
// seqs, whose context is ctx.
func interleave(ctx context.Context, cancel func(), seqs []iter.Seq2[runner.Line, error], yield func(runner.Line, error) bool) {
	type item struct {
		line runner.Line
		err  error
	}
	items, ended := make(chan item), make(chan struct{})
	for _, seq := range seqs {
		go func() {
			defer func() { ended <- struct{}{} }()
			for line, err := range seq {
				select {
				case items <- item{line, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	open := true
	for left := len(seqs); left > 0; {
		select {
		case it := <-items:
			if open && !yield(it.line, it.err) {
				open = false
				cancel()
			}
		case <-ended:
			left--
		}
	}
}
