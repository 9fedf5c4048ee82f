package metrics

import (
	"errors"
	"hash/maphash"
	"io"
	"time"
)

// Copies reads files that one can only get whole, again and again, such as those of a
// container: of each copy it feeds what is new. A file that no longer begins with what
// was read of it is read anew. The zero Copies with Parser set is ready for use; it is
// not safe for concurrent use.
type Copies struct {
	// Parser makes the parser of a file; nil: the file is of no interest.
	Parser func(file string) Parser

	files map[string]*copied
	order []*copied
	buf   []byte
}

// copied is what is known of one file.
type copied struct {
	parser Parser
	read   int64 // bytes that were fed
	sum    maphash.Hash
}

// Look takes in a copy of a file. Again says that the file is another than before: it
// is to be looked at once more, from its beginning. An error is r's; what had come
// until then was taken in.
func (c *Copies) Look(file string, r io.Reader) (again bool, err error) {
	f, known := c.files[file]
	if !known {
		if c.files == nil {
			c.files = map[string]*copied{}
		}
		if p := c.Parser(file); p != nil {
			f = &copied{parser: p}
			c.order = append(c.order, f)
		}
		c.files[file] = f
	}
	if f == nil {
		return false, nil
	}
	if c.buf == nil {
		c.buf = make([]byte, followChunk)
	}
	same, err := f.passOver(r, c.buf)
	if err != nil {
		return false, err
	}
	if !same {
		f.parser.Reset()
		f.read = 0
		f.sum.Reset()
		return true, nil
	}
	return false, f.feed(r, c.buf)
}

// passOver reads what was read before, and reports whether it still is the same.
func (f *copied) passOver(r io.Reader, buf []byte) (same bool, err error) {
	var sum maphash.Hash
	sum.SetSeed(f.sum.Seed())
	n, err := io.CopyBuffer(onlyWriter{&sum}, onlyReader{io.LimitReader(r, f.read)}, buf)
	if err != nil {
		return false, err
	}
	return n == f.read && sum.Sum64() == f.sum.Sum64(), nil
}

// feed feeds the rest.
func (f *copied) feed(r io.Reader, buf []byte) error {
	for {
		n, err := r.Read(buf)
		if n > 0 {
			f.parser.Feed(buf[:n], time.Now())
			_, _ = f.sum.Write(buf[:n])
			f.read += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// End says that nothing more comes.
func (c *Copies) End() {
	for _, f := range c.order {
		f.parser.End()
	}
}

// onlyWriter and onlyReader hide what would make io.CopyBuffer leave the buffer unused.
type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }
