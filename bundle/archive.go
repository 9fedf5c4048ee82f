package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The archive has one form: oci-layout, blobs in any order but each once, and
// index.json, all with the same header fields, and two blocks of zeros. A file in
// another form is refused, so that no byte of it can change unseen.
const (
	layoutName = "oci-layout"
	layoutText = `{"imageLayoutVersion":"1.0.0"}`
	indexName  = "index.json"
	blobPrefix = "blobs/sha256/"
	block      = 512
	maxIndex   = 8 << 20 // bytes of index.json
	maxBlobs   = 1 << 20 // how many an archive may hold
)

// trailer ends a tar.
var trailer = make([]byte, 2*block)

// span is where the content of a blob lies in the archive.
type span struct{ at, size int64 }

// next is where the header after the content lies.
func (s span) next() int64 { return s.at + padded(s.size) }

func padded(n int64) int64 { return (n + block - 1) / block * block }

// header is the one block that stands before an entry's content.
func header(name string, size int64) ([]byte, error) {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o444, Format: tar.FormatUSTAR}
	if size >= 8<<30 { // more than USTAR has digits for
		h.Format = tar.FormatGNU
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, err
	}
	if b.Len() != block {
		return nil, fmt.Errorf("the header of %s takes %d bytes", name, b.Len())
	}
	return b.Bytes(), nil
}

// parseHeader reads a block that header has made; anything else is an error.
func parseHeader(b []byte) (name string, size int64, err error) {
	h, err := tar.NewReader(bytes.NewReader(b)).Next()
	if err != nil {
		return "", 0, errors.New("no header where one must be")
	}
	want, err := header(h.Name, h.Size)
	if err != nil || !bytes.Equal(want, b) {
		return "", 0, fmt.Errorf("the header of %q is not as wherry writes it", h.Name)
	}
	return h.Name, h.Size, nil
}

// digestName is the name of a blob's entry, or "" where digest is none.
func digestName(digest string) string {
	h, ok := strings.CutPrefix(digest, "sha256:")
	if raw, err := hex.DecodeString(h); !ok || err != nil || len(raw) != sha256.Size || strings.ToLower(h) != h {
		return ""
	}
	return blobPrefix + h
}

// nameDigest is the way back from digestName.
func nameDigest(name string) (string, bool) {
	h, ok := strings.CutPrefix(name, blobPrefix)
	digest := "sha256:" + h
	return digest, ok && digestName(digest) != ""
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// scanner reads an archive from its start and checks all it reads.
type scanner struct {
	r  io.Reader
	at int64 // of what is read next
	on func(bytes int64)
}

// entry reads one entry whole; its content is kept where it is not a blob.
func (s *scanner) entry() (name string, at span, data []byte, err error) {
	var b [block]byte
	if err := s.fill(b[:]); err != nil {
		return "", span{}, nil, err
	}
	name, size, err := parseHeader(b[:])
	if err != nil {
		return "", span{}, nil, err
	}
	at = span{s.at, size}
	digest, isBlob := nameDigest(name)
	switch {
	case !isBlob && name != layoutName && name != indexName:
		return "", at, nil, fmt.Errorf("%q has no place in a bundle", name)
	case !isBlob && size > maxIndex:
		return "", at, nil, fmt.Errorf("%s has %d bytes, more than %d", name, size, maxIndex)
	case isBlob:
		err = s.blob(digest, size)
	default:
		data = make([]byte, size)
		err = s.fill(data)
	}
	if err == nil {
		err = s.zeros(padded(size) - size)
	}
	return name, at, data, err
}

func (s *scanner) blob(digest string, size int64) error {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(s.r, size))
	s.at += n
	s.on(n)
	switch {
	case err != nil:
		return err
	case n < size:
		return io.ErrUnexpectedEOF
	case "sha256:"+hex.EncodeToString(h.Sum(nil)) != digest:
		return fmt.Errorf("blob %s holds something else", digest)
	}
	return nil
}

func (s *scanner) fill(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.at += int64(n)
	s.on(int64(n))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// zeros reads n bytes, which must be zero.
func (s *scanner) zeros(n int64) error {
	b := make([]byte, n)
	if err := s.fill(b); err != nil {
		return err
	}
	if len(bytes.Trim(b, "\x00")) > 0 {
		return errors.New("there is something between two entries")
	}
	return nil
}
