package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"
)

// reread reports whether an import of dir would read any file now.
func reread(t *testing.T, s *Store, dir string) bool {
	t.Helper()
	root, o, err := scan(t.Context(), dir)
	must(t, err)
	defer root.Close()
	anew, err := hashNew(t.Context(), root, o.entries, s.recall(dir))
	must(t, err)
	return anew
}

func TestImportReadsOnlyWhatChanged(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a": "1", "sub/b": "2"})
	time.Sleep(100 * time.Millisecond) // past the tick
	if !reread(t, s, dir) {
		t.Fatal("what is not known would not be read")
	}
	first, _, err := s.Import(t.Context(), dir)
	must(t, err)
	if reread(t, s, dir) {
		t.Error("what has not changed would be read again")
	}
	if d, _, err := s.Import(t.Context(), dir); err != nil || d != first {
		t.Errorf("the second import = %s, %v; want %s", d, err, first)
	}
	// Gone from the store: what is known of the source brings it back.
	must(t, s.Remove(first))
	if d, _, err := s.Import(t.Context(), dir); err != nil || d != first {
		t.Errorf("the import of what was removed = %s, %v; want %s", d, err, first)
	}
	must(t, s.Verify(t.Context(), first))

	// Same size and modification time, as after touch -r.
	was, err := os.Stat(filepath.Join(dir, "sub/b"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "sub/b"), []byte("3"), 0o644))
	must(t, os.Chtimes(filepath.Join(dir, "sub/b"), was.ModTime(), was.ModTime()))
	if d, _, err := s.Import(t.Context(), dir); err != nil || d == first {
		t.Errorf("the import of other content = %s, %v", d, err)
	}
	noLitter(t, s)
}

// TestImportRacilyClean writes in the same tick of the clock, which no file time shows.
func TestImportRacilyClean(t *testing.T) {
	s := open(t)
	name := filepath.Join(tree(t, map[string]string{"data": "x0"}), "data")
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	last, _, err := s.Import(t.Context(), name)
	must(t, err)
	for i := range 60 {
		_, err := f.WriteAt([]byte{byte('1' + i%2)}, 1)
		must(t, err)
		d, _, err := s.Import(t.Context(), name)
		must(t, err)
		if d == last {
			t.Fatalf("write %d was not seen", i)
		}
		last = d
	}
}

// TestImportBelievesNothing: what is remembered wrongly costs time, nothing else.
func TestImportBelievesNothing(t *testing.T) {
	s := open(t)
	dir := tree(t, map[string]string{"a": "1"})
	time.Sleep(100 * time.Millisecond)
	want, _, err := s.Import(t.Context(), dir)
	must(t, err)
	must(t, s.Remove(want))
	known, err := os.ReadFile(s.rememberedPath(dir))
	must(t, err)
	sum := sha256.Sum256([]byte("1"))
	wrong := bytes.Replace(known, jsonSum(t, sum[:]), jsonSum(t, make([]byte, len(sum))), 1)
	if bytes.Equal(wrong, known) {
		t.Fatalf("no digest in %s", known)
	}
	must(t, os.WriteFile(s.rememberedPath(dir), wrong, 0o600))
	if d, _, err := s.Import(t.Context(), dir); err != nil || d != want {
		t.Errorf("Import = %s, %v; want %s", d, err, want)
	}
}

func TestDrink(t *testing.T) {
	ended := errors.New("the disk is gone")
	for _, size := range []int{0, 1, chunk, aheadOf - 1, aheadOf, aheadOf + 1, 3*aheadOf + 7} {
		content := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(content), "in halves": iotest.HalfReader(bytes.NewReader(content)), "end with data": iotest.DataErrReader(bytes.NewReader(content)),
		} {
			h := sha256.New()
			var copied bytes.Buffer
			n, err := drink(t.Context(), h, &copied, r, int64(size))
			must(t, err)
			if want := sha256.Sum256(content); n != int64(size) || !bytes.Equal(h.Sum(nil), want[:]) || !bytes.Equal(copied.Bytes(), content) {
				t.Errorf("%d bytes, %s: %d were read, or others", size, name, n)
			}
		}
		if _, err := drink(t.Context(), sha256.New(), nil, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(ended)), int64(size)); !errors.Is(err, ended) {
			t.Errorf("%d bytes and an error: %v", size, err)
		}
		if _, err := drink(t.Context(), sha256.New(), failing{ended}, bytes.NewReader(content), int64(size)); size > 0 && !errors.Is(err, ended) {
			t.Errorf("%d bytes to where nothing can be written: %v", size, err)
		}
	}
}

// jsonSum is a digest as it stands in what is remembered.
func jsonSum(t *testing.T, sum []byte) []byte {
	t.Helper()
	text, err := json.Marshal(sum)
	must(t, err)
	return text
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
