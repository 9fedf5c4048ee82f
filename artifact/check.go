package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// believed is from what size on, in bytes, an object of which nothing is remembered
// counts as sound without being read.
const believed = 256 << 20

// Check reports whether the object of digest can be used: nil, or fs.ErrNotExist when
// the store has none, or a *CorruptError when it is not what its digest says; then it
// is removed, so that what made it makes it again.
//
// An object is read only if it does not look as it did when it was stored or last
// read: size, modification time and inode of each of its files are remembered. What
// changes without any of these (a failing disk) is for Verify to find.
func (s *Store) Check(ctx context.Context, digest string) error {
	p, err := s.Path(digest)
	if err != nil {
		return err
	}
	d, _ := parseDigest(digest)
	look, err := lookOf(ctx, p)
	if err != nil {
		return fmt.Errorf("check artifact %s: %w", digest, err)
	}
	known, err := os.ReadFile(s.sealPath(d))
	if err == nil && string(known) == look.text || err != nil && look.size >= believed {
		if err != nil {
			s.seal(d, look)
		}
		return nil
	}
	err = s.Verify(ctx, digest)
	if corrupt, ok := errors.AsType[*CorruptError](err); ok {
		corrupt.Removed = s.Remove(digest) == nil
	}
	if err == nil {
		s.seal(d, look)
	}
	return err
}

// looks is what Check remembers of an object.
type looks struct {
	text   string
	size   int64
	newest int64 // modification time, ns since 1970
}

func lookOf(ctx context.Context, name string) (looks, error) {
	st, err := statPath(name)
	if err != nil {
		return looks{}, err
	}
	if st.kind() != kindDir {
		return looks{text: lookLine(entry{kind: st.kind(), stat: st}), size: st.size, newest: st.mtime}, nil
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return looks{}, err
	}
	defer root.Close()
	entries, err := walk(ctx, root, func(string, stat) (bool, error) { return false, nil })
	if err != nil {
		return looks{}, err
	}
	l := looks{size: treeSize(entries)}
	h := sha256.New()
	for _, e := range entries {
		if e.kind != kindDir { // what is in it is listed
			l.newest = max(l.newest, e.stat.mtime)
		}
		fmt.Fprint(h, lookLine(e))
	}
	l.text = sum(h.Sum(nil)).hex() + "\n"
	return l, nil
}

func lookLine(e entry) string {
	if e.kind == kindDir {
		return fmt.Sprintf("%c %q\n", e.kind, e.path)
	}
	return fmt.Sprintf("%c %q %q %d %d %d\n", e.kind, e.path, e.target, e.stat.size, e.stat.mtime, e.stat.ino)
}

func (s *Store) sealPath(d sum) string {
	h := d.hex()
	return filepath.Join(s.home, "artifacts", "seals", h[:2], h)
}

// seal remembers how an object looks. As in git's index, one that was written a moment
// ago is not remembered: a change in the same tick of the clock would not show. Nothing
// depends on its success.
func (s *Store) seal(d sum, l looks) {
	if l.newest > time.Now().Add(-50*time.Millisecond).UnixNano() {
		return
	}
	p := s.sealPath(d)
	err := os.MkdirAll(filepath.Dir(p), 0o755)
	if err == nil {
		err = os.WriteFile(p, []byte(l.text), 0o644)
	}
	if err != nil {
		os.Remove(p)
	}
}

// suspect makes the next Check read the object, whatever it looks like.
func (s *Store) suspect(digest string) {
	if d, err := parseDigest(digest); err == nil {
		_ = os.MkdirAll(filepath.Dir(s.sealPath(d)), 0o755)
		_ = os.WriteFile(s.sealPath(d), []byte("damaged\n"), 0o644)
	}
}

// sealNew remembers how an object looks that was just stored.
func (s *Store) sealNew(ctx context.Context, d sum) {
	if l, err := lookOf(ctx, s.objectPath(d)); err == nil {
		s.seal(d, l)
	}
}
