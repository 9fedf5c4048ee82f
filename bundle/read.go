package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// archive is an archive that was read whole and found sound.
type archive struct {
	f     *os.File
	index []byte
	blobs map[string]span
}

// openArchive reads the file and checks every byte of it; what is wrong is a
// *BrokenError. read is told how many bytes were read. Close f after use.
func openArchive(ctx context.Context, path string, read func(int64)) (*archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &archive{f: f, blobs: map[string]span{}}
	s := &scanner{r: bufio.NewReaderSize(&canceling{ctx, f}, 1<<20), on: read}
	if err := a.read(f, s); err != nil {
		f.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &BrokenError{File: path, At: s.at, Err: err}
	}
	return a, nil
}

func (a *archive) read(f *os.File, s *scanner) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	name, _, data, err := s.entry()
	if err != nil {
		return err
	}
	if name != layoutName || string(data) != layoutText {
		return errors.New("it does not begin as an OCI image layout")
	}
	for a.index == nil {
		name, at, data, err := s.entry()
		if err != nil {
			return err
		}
		if name == indexName {
			a.index = data
			break
		}
		digest, ok := nameDigest(name)
		if _, twice := a.blobs[digest]; !ok || twice || len(a.blobs) == maxBlobs {
			return fmt.Errorf("%s has no place here", name)
		}
		a.blobs[digest] = at
	}
	if err := s.zeros(int64(len(trailer))); err != nil {
		return err
	}
	if _, err := s.r.Read(make([]byte, 1)); err != io.EOF {
		return errors.New("it goes on after its end")
	}
	return nil
}

// blob reads a blob once more. Its content is checked again: the end is an error
// where the file has changed meanwhile.
func (a *archive) blob(digest string) (io.Reader, int64, error) {
	at, ok := a.blobs[digest]
	if !ok {
		return nil, 0, fmt.Errorf("blob %s is not in it", digest)
	}
	return &checked{r: io.NewSectionReader(a.f, at.at, at.size), sum: sha256.New(), want: digest}, at.size, nil
}

// bytes reads a small blob.
func (a *archive) bytes(digest string, limit int64) ([]byte, error) {
	r, size, err := a.blob(digest)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("blob %s has %d bytes, more than %d", digest, size, limit)
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

// checked reads what must have a digest.
type checked struct {
	r    io.Reader
	sum  hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && "sha256:"+hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		err = fmt.Errorf("blob %s has changed while it was read", c.want)
	}
	return n, err
}

// canceling reads until ctx ends.
type canceling struct {
	ctx context.Context
	r   io.Reader
}

func (c *canceling) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
