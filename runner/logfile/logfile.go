// Package logfile writes and reads the log of a pod that has ended, in the text
// format of Kubernetes' CRI with the container's name put in:
//
//	2026-11-23T19:00:00.123456789Z stdout F main text of the line
//
// F ends a line, P says that no newline followed. Text is any bytes but a newline.
package logfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

const stamp = "2006-01-02T15:04:05.000000000Z"

// maxLine is the longest line that Read returns whole, in bytes.
const maxLine = 64 << 20

// Writer writes the log file of one attempt.
type Writer struct {
	file *os.File
	buf  *bufio.Writer
	head []byte
}

// Create makes (or empties) the log file at path and its folders.
func Create(path string) (*Writer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &Writer{file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Line appends one line.
func (w *Writer) Line(l runner.Line) error {
	tag := byte('F')
	if l.Partial {
		tag = 'P'
	}
	name := l.Container
	if name == "" {
		name = "main"
	}
	w.head = l.Time.UTC().AppendFormat(w.head[:0], stamp)
	w.head = fmt.Appendf(w.head, " %s %c %s ", l.Stream, tag, name)
	w.buf.Write(w.head)
	w.buf.Write(l.Text)
	return w.buf.WriteByte('\n')
}

// Close flushes and closes the file.
func (w *Writer) Close() error {
	err := w.buf.Flush()
	if e := w.file.Close(); err == nil {
		err = e
	}
	return err
}

// Read calls yield for each line of the log file at path until it returns false.
func Read(path string, yield func(runner.Line) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f, yield)
}

func read(r io.Reader, yield func(runner.Line) bool) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	s.Split(scanLine)
	for s.Scan() {
		l, ok := parse(s.Bytes())
		if !ok {
			return fmt.Errorf("not a line of a log: %.40q", s.Bytes())
		}
		if !yield(l) {
			return nil
		}
	}
	return s.Err()
}

// scanLine is bufio.ScanLines, but for the carriage return, which is of the line.
func scanLine(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func parse(b []byte) (runner.Line, bool) {
	parts := bytes.SplitN(b, []byte{' '}, 5)
	if len(parts) != 5 {
		return runner.Line{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	if err != nil {
		return runner.Line{}, false
	}
	return runner.Line{
		Time: t, Stream: runner.Stream(parts[1]), Partial: string(parts[2]) == "P",
		Container: string(parts[3]), Text: bytes.Clone(parts[4]),
	}, true
}

// Tail returns the last n lines of the log file at path; none if n is not positive.
func Tail(path string, n int) ([]runner.Line, error) {
	if n <= 0 {
		return nil, nil
	}
	ring := make([]runner.Line, 0, min(n, 1024))
	at := 0
	err := Read(path, func(l runner.Line) bool {
		if len(ring) < n {
			ring = append(ring, l)
		} else {
			ring[at] = l
			at = (at + 1) % n
		}
		return true
	})
	return append(ring[at:len(ring):len(ring)], ring[:at]...), err
}
