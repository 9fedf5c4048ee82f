package process

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// stamp is RFC 3339 with nanoseconds at a fixed width, so that texts sort as times do.
const stamp = "2006-01-02T15:04:05.000000000Z"

// maxChunk is the longest text of one record, in bytes; a longer line is written
// in several, all but the last of which are tagged P.
const maxChunk = 16 << 10

// clock gives every line of a pod a moment of its own, so that the moment of a
// line is a cursor from which reading can resume.
type clock struct{ last time.Time }

func (c *clock) now() time.Time {
	t := time.Now().UTC()
	if !t.After(c.last) {
		t = c.last.Add(1)
	}
	c.last = t
	return t
}

// logFile is the log of one container, in the format of Kubernetes' CRI:
//
//	<time> stdout|stderr F|P <text>
//
// F ends a line; P has more to follow, or the stream ended without a newline.
type logFile struct {
	mu    *sync.Mutex // of the pod
	clock *clock      // of the pod
	file  *os.File
	w     *bufio.Writer
	err   error // the first; what follows is dropped, so that a full disk blocks no container
}

func newLogFile(path string, mu *sync.Mutex, c *clock) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &logFile{mu: mu, clock: c, file: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// maxDrain is how much of a pipe is still read, in bytes, once its container has
// ended: more than a pipe holds, so that only what strays wrote later is lost.
const maxDrain = 1 << 20

// pump copies r into the log, line by line, until its end, or until it is empty
// once a read deadline has been set. Lines are on disk as soon as they are whole.
func (l *logFile) pump(s runner.Stream, r *os.File) {
	buf := make([]byte, 64<<10)
	var rest []byte // of the line that is not whole yet; at most maxChunk
	for drained, draining := 0, false; drained < maxDrain; {
		if draining {
			_ = r.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}
		n, err := r.Read(buf)
		if n > 0 {
			rest = l.write(s, rest, buf[:n])
		}
		if draining {
			drained += n
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !draining {
			draining = true
		} else if err != nil {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(rest) > 0 {
		l.record(s, 'P', rest)
	}
	l.flush()
}

// write logs what is whole of rest and data, and returns what is not.
func (l *logFile) write(s runner.Stream, rest, data []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.flush()
	for {
		i := bytes.IndexByte(data, '\n')
		switch {
		case i >= 0 && len(rest) == 0 && i <= maxChunk:
			l.record(s, 'F', data[:i])
			data = data[i+1:]
		case i >= 0 && len(rest)+i <= maxChunk:
			l.record(s, 'F', append(rest, data[:i]...))
			rest, data = rest[:0], data[i+1:]
		case len(rest)+len(data) > maxChunk:
			take := maxChunk - len(rest)
			l.record(s, 'P', append(rest, data[:take]...))
			rest, data = rest[:0], data[take:]
		default:
			return append(rest, data...)
		}
	}
}

func (l *logFile) record(s runner.Stream, tag byte, text []byte) {
	var head [len(stamp) + 16]byte
	b := l.clock.now().AppendFormat(head[:0], stamp)
	b = append(append(append(b, ' '), s...), ' ', tag, ' ')
	for _, part := range [][]byte{b, text, {'\n'}} {
		if l.err == nil {
			_, l.err = l.w.Write(part)
		}
	}
}

func (l *logFile) flush() {
	if l.err == nil {
		l.err = l.w.Flush()
	}
}

// close ends the log and returns what went wrong with it.
func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
