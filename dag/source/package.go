package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxUnpacked is how many bytes of a compressed tar file are looked through: it
	// may hold other files than the pipeline.
	maxUnpacked = 4 * MaxSize
	// maxEntries is how many files an archive may hold.
	maxEntries = 10_000
)

// packedName is the file of an archive that is the pipeline, whatever lies beside it.
const packedName = "pipeline.yaml"

// limits bound what is unpacked, in bytes.
type limits struct{ file, unpacked int64 }

var usual = limits{MaxSize, maxUnpacked}

// ReadPackage reads a file as Read does, or the pipeline in it where it is a
// package as Kubeflow takes them: a zip file, a tar file, compressed or not, or one
// compressed text. The content says which it is, never the name. The File is then
// named package.zip!pipeline.yaml.
func ReadPackage(path string) (*File, error) {
	content, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return usual.unpack(path, content)
}

// unpack returns the pipeline that is packed in content, or is content itself.
func (l limits) unpack(name string, content []byte) (*File, error) {
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")), bytes.HasPrefix(content, []byte("PK\x05\x06")):
		return l.unzip(name, content)
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		return l.gunzip(name, content)
	case isTar(content):
		return l.untar(name, "tar", func() (io.Reader, error) { return bytes.NewReader(content), nil })
	}
	return newFile(name, content)
}

// isTar tells a tar file by the magic of its first header.
func isTar(head []byte) bool {
	return len(head) >= 512 && string(head[257:262]) == "ustar"
}

func (l limits) unzip(name string, content []byte) (*File, error) {
	// The directory's own count can't be trusted, and each entry costs memory.
	if bytes.Count(content, []byte("PK\x01\x02")) > maxEntries {
		return nil, tooMany(name)
	}
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // nothing is written anywhere
		return nil, l.broken(name, "zip", err)
	}
	names := make([]string, 0, len(r.File))
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	i, err := choose(name, names)
	if err != nil {
		return nil, err
	}
	if r.File[i].Flags&1 != 0 {
		return nil, (&Error{File: inside(name, names[i]), Msg: "is encrypted"}).WithMend("pack it without a password")
	}
	entry, err := r.File[i].Open()
	if err != nil {
		return nil, l.broken(name, "zip", err)
	}
	defer entry.Close()
	return l.readEntry(name, names[i], "zip", entry)
}

func (l limits) gunzip(name string, content []byte) (*File, error) {
	open := func() (io.Reader, error) {
		r, err := gzip.NewReader(bytes.NewReader(content))
		return &bounded{r: r, left: l.unpacked}, err
	}
	r, err := open()
	if err != nil {
		return nil, l.broken(name, "gzip", err)
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, l.broken(name, "gzip", err)
	}
	if isTar(head[:n]) {
		return l.untar(name, "tar.gz", open)
	}
	plain := strings.TrimSuffix(filepath.Base(name), ".gz")
	return l.readEntry(name, plain, "gzip", io.MultiReader(bytes.NewReader(head[:n]), r))
}

// untar goes through the archive twice, because which file it is may depend on the
// last one.
func (l limits) untar(name, kind string, open func() (io.Reader, error)) (*File, error) {
	var names []string
	err := eachFile(open, func(entry string, _ io.Reader) (bool, error) {
		if names = append(names, entry); len(names) > maxEntries {
			return false, tooMany(name)
		}
		return true, nil
	})
	if err != nil {
		return nil, l.broken(name, kind, err)
	}
	at, err := choose(name, names)
	if err != nil {
		return nil, err
	}
	var file *File
	err = eachFile(open, func(entry string, r io.Reader) (bool, error) {
		if at--; at >= 0 {
			return true, nil
		}
		var err error
		file, err = l.readEntry(name, entry, kind, r)
		return false, err
	})
	if err != nil {
		return nil, l.broken(name, kind, err)
	}
	return file, nil
}

// eachFile calls do for the regular files of a tar archive until it says no.
func eachFile(open func() (io.Reader, error), do func(name string, r io.Reader) (bool, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // nothing is written anywhere
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if more, err := do(h.Name, archive); err != nil || !more {
			return err
		}
	}
}

// choose returns which of the archive's files is the pipeline: pipeline.yaml; else
// the first, where that is YAML, as Kubeflow has it; else the only one that is YAML
// or JSON.
func choose(name string, names []string) (int, error) {
	named := func(entry string) bool { return path.Clean(entry) == packedName }
	if i := slices.IndexFunc(names, named); i >= 0 {
		return i, nil
	}
	var candidates []string
	first, only := true, -1
	for i, entry := range names {
		base := path.Base(entry)
		if strings.HasSuffix(entry, "/") || strings.HasPrefix(base, ".") || strings.HasPrefix(entry, "__MACOSX/") {
			continue // folders, and what a Mac adds
		}
		switch strings.ToLower(path.Ext(base)) {
		case ".yaml", ".yml":
			if first {
				return i, nil
			}
			fallthrough
		case ".json":
			only = i
			candidates = append(candidates, printable(entry))
		}
		first = false
	}
	switch {
	case len(candidates) == 1:
		return only, nil
	case len(candidates) == 0:
		return 0, (&Error{File: name, Msg: "holds no YAML file"}).WithMend("pack the compiled pipeline as %s", packedName)
	}
	return 0, (&Error{File: name, Msg: fmt.Sprintf("holds %d files that may be the pipeline", len(candidates))}).
		WithMend("name one of them %s: %s", packedName, strings.Join(candidates[:min(5, len(candidates))], ", "))
}

// readEntry reads the file of an archive that was chosen.
func (l limits) readEntry(name, entry, kind string, r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, l.file+1))
	if err != nil {
		return nil, l.broken(name, kind, err)
	}
	if int64(len(text)) > l.file {
		return nil, &Error{File: inside(name, entry), Msg: fmt.Sprintf("holds more than the %d MiB that are read", l.file>>20)}
	}
	return newFile(inside(name, entry), text)
}

// inside names a file of an archive.
func inside(name, entry string) string {
	return name + "!" + printable(path.Clean(entry))
}

// printable is an archive's own text, fit for one line of an error.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if r := []rune(text); len(r) > 100 {
		text = "…" + string(r[len(r)-100:])
	}
	return strings.Map(visible, text)
}

// broken is the error for an archive that can't be read; what is an *Error already
// stays as it is.
func (l limits) broken(name, kind string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, errTooMuch) {
		return l.tooMuch(name)
	}
	msg := strings.Map(visible, strings.ToValidUTF8(err.Error(), "?"))
	return (&Error{File: name, Msg: fmt.Sprintf("is no sound %s file: %s", kind, msg)}).WithMend("pack the pipeline again, or run the compiled YAML itself")
}

func tooMany(name string) error {
	return &Error{File: name, Msg: fmt.Sprintf("holds more than %d files", maxEntries), Mend: "pack only the compiled pipeline"}
}

func (l limits) tooMuch(name string) error {
	return &Error{File: name, Msg: fmt.Sprintf("unpacks to more than %d MiB", l.unpacked>>20), Mend: "pack only the compiled pipeline"}
}

// errTooMuch says that an archive unpacks to more than is looked through.
var errTooMuch = errors.New("too much")

// bounded reads at most left bytes; that there were more is an error.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
