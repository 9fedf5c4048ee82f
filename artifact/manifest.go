package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeManifest writes what treeSum hashes.
func writeManifest(w io.Writer, entries []entry) {
	io.WriteString(w, "wherry tree 1\n")
	for i := range entries {
		e := &entries[i]
		w.Write([]byte{e.kind, ' '})
		switch e.kind {
		case kindFile, kindExec:
			io.WriteString(w, e.sum.hex()+" ")
		case kindLink:
			io.WriteString(w, e.target+"\x00")
		}
		io.WriteString(w, e.path+"\x00")
	}
}

// parseManifest reads a manifest back.
func parseManifest(text string) ([]entry, error) {
	bad := errors.New("not a manifest")
	rest, ok := strings.CutPrefix(text, "wherry tree 1\n")
	if !ok {
		return nil, bad
	}
	var entries []entry
	for rest != "" {
		if len(rest) < 2 {
			return nil, bad
		}
		e := entry{kind: rest[0]}
		rest = rest[2:]
		switch e.kind {
		case kindFile, kindExec:
			if len(rest) < 2*len(e.sum)+1 {
				return nil, bad
			}
			if _, err := hex.Decode(e.sum[:], []byte(rest[:2*len(e.sum)])); err != nil {
				return nil, bad
			}
			rest = rest[2*len(e.sum)+1:]
		case kindLink:
			if e.target, rest, ok = strings.Cut(rest, "\x00"); !ok {
				return nil, bad
			}
		case kindDir:
		default:
			return nil, bad
		}
		if e.path, rest, ok = strings.Cut(rest, "\x00"); !ok {
			return nil, bad
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (s *Store) manifestPath(d sum) string {
	return filepath.Join(s.snapshots(), "manifest-"+d.hex())
}

// keepManifest writes down the manifest of a directory, which says without
// reading the files what is in them. Nothing depends on its success.
func (s *Store) keepManifest(st *stage, d sum, entries []entry) error {
	path := s.manifestPath(d)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	var b bytes.Buffer
	writeManifest(&b, entries)
	return errors.Join(st.WriteFile("manifest", b.Bytes(), 0o600), os.Rename(st.path("manifest"), path))
}

// entriesOf returns the entries of a stored directory, without their stat; of a
// stored file that file, as "." with the digest that the store has it by. The
// manifest is its own proof: its hash is the digest. Where there is none, the
// directory is read.
func (s *Store) entriesOf(ctx context.Context, digest string) ([]entry, error) {
	d, err := parseDigest(digest)
	if err != nil {
		return nil, err
	}
	if text, err := os.ReadFile(s.manifestPath(d)); err == nil && sum(sha256.Sum256(text)) == d {
		return parseManifest(string(text))
	}
	dir, err := s.Path(digest)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(dir); err == nil && info.Mode().IsRegular() {
		return []entry{{path: ".", kind: kindFile, sum: d}}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := walk(ctx, root, noSpecial(root))
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if e := &entries[i]; e.isFile() {
			if e.sum, err = hashFile(ctx, root, e.path, e.stat); err != nil {
				return nil, err
			}
		}
	}
	st, err := s.newStage()
	if err != nil {
		return nil, err
	}
	defer st.close()
	return entries, s.keepManifest(st, d, entries)
}

// listing is what a stored directory holds.
type listing struct {
	names sum               // of all paths, kinds and targets of links
	files map[string]string // digests, by path
}

// maxListings is how many listings are kept in memory.
const maxListings = 8

// listing returns what a stored directory holds; fs.ErrNotExist where the store
// has no such directory.
func (s *Store) listing(ctx context.Context, digest string) (*listing, error) {
	s.listed.Lock()
	l := s.listings[digest]
	s.listed.Unlock()
	if l != nil {
		return l, nil
	}
	entries, err := s.entriesOf(ctx, digest)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	l = &listing{files: make(map[string]string, len(entries))}
	for i := range entries {
		e := &entries[i]
		fmt.Fprintf(h, "%c %s\x00%s\x00", e.kind, e.path, e.target)
		if e.isFile() {
			l.files[e.path] = e.sum.String()
		}
	}
	l.names = sum(h.Sum(nil))
	s.listed.Lock()
	defer s.listed.Unlock()
	if len(s.listings) >= maxListings || s.listings == nil {
		s.listings = map[string]*listing{}
	}
	s.listings[digest] = l
	return l, nil
}

// Files returns the digests of the files of a stored directory, by path; of a stored
// file its own, by ".". fs.ErrNotExist where the store has neither.
func (s *Store) Files(ctx context.Context, digest string) (map[string]string, error) {
	l, err := s.listing(ctx, digest)
	if err != nil {
		return nil, err
	}
	return maps.Clone(l.files), nil
}

// ReadDigest stands for a stored directory as far as a step has read it: the
// names and kinds of all entries and the targets of links, and the content of
// the files that it opened. fs.ErrNotExist where the store has no such directory
// or it has no such file.
func (s *Store) ReadDigest(ctx context.Context, digest string, opened []string) (string, error) {
	l, err := s.listing(ctx, digest)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(l.names[:])
	for _, name := range slices.Sorted(slices.Values(opened)) {
		content, ok := l.files[name]
		if !ok {
			return "", fmt.Errorf("%s of %s: %w", name, digest, fs.ErrNotExist)
		}
		fmt.Fprintf(h, "%s\x00%s\x00", name, content)
	}
	return sum(h.Sum(nil)).String(), nil
}
