package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/artifact"
)

// hashed is how many bytes are hashed.
const hashed = 1000 << 20

// BenchmarkHash: inputs are hashed at 0.9 of what the slower of the hash (of one core)
// and of reading the same files can do, or faster; and what has not changed is not read.
// Files are read from the disk, not from memory.
func BenchmarkHash(b *testing.B) {
	for _, c := range []struct {
		name  string
		files int
	}{{"1 GB in one file", 1}, {"1 GB in 10,000 files", 10_000}} {
		b.Run(c.name, func(b *testing.B) {
			dir := data(b, c.files)
			store, err := artifact.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			snap := func() float64 {
				start := time.Now()
				if _, _, err := store.Snapshot(b.Context(), dir, artifact.SnapshotOptions{}); err != nil {
					b.Fatal(err)
				}
				return time.Since(start).Seconds()
			}
			evict(b, dir)
			first := snap()
			for b.Loop() {
				reportHash(b, c.name, dir, first, snap)
				other, err := artifact.Open(b.TempDir()) // the first one knows the files by now
				if err != nil {
					b.Fatal(err)
				}
				imported := func() float64 {
					evict(b, dir)
					start := time.Now()
					if _, _, err := other.Import(b.Context(), dir); err != nil {
						b.Fatal(err)
					}
					return time.Since(start).Seconds()
				}
				once := imported()
				floor("  imported, and again", fmt.Sprintf("%.0f MB/s, %.1f ms", speed(once), imported()*1e3))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// reportHash adds the lines of one tree, of which a first snapshot took so many seconds.
func reportHash(b *testing.B, name, dir string, first float64, snap func() float64) {
	const limit = 0.9
	var hashes, reads []float64
	slower := func() float64 {
		hash, read := pureHash(), readAll(b, dir)
		hashes, reads = append(hashes, speed(hash)), append(reads, speed(read))
		return max(hash, read)
	}
	again := func() float64 {
		touch(b, dir) // all of it has to be read again; the copies are there
		evict(b, dir)
		return snap()
	}
	raw, ours, ratio, spread := paired(b, slower, again)
	b.ReportMetric(speed(ours), "MB/s")
	b.ReportMetric(ratio, "ratio")
	check(b, ratio >= limit, row{
		what: "hash " + name + ", over the slower of hash and disk", figure: fmt.Sprintf("%.2fx (%s), %.0f MB/s", ratio, spread, speed(ours)),
		limit: fmt.Sprintf("%gx", limit), floor: fmt.Sprintf("%.0f MB/s: sha256 on one core %.0f, reading %.0f", speed(raw), median(hashes), median(reads)),
	})
	floor("  taken in for the first time, copied and on the disk", fmt.Sprintf("%.0f MB/s (cp and sync: %.0f)", speed(first), speed(copySynced(b, dir))))
	time.Sleep(100 * time.Millisecond) // younger files count as changed, as in git
	snap()
	evict(b, dir)
	unchanged := sampleOf([]float64{snap() * 1e3, snap() * 1e3, snap() * 1e3, snap() * 1e3, snap() * 1e3})
	floor("  again, unchanged", unchanged.String())
}

func speed(seconds float64) float64 { return hashed / 1e6 / seconds }

// data is a folder with so many files that have random content and are on the disk.
func data(b *testing.B, files int) string {
	b.Helper()
	dir := b.TempDir()
	content := make([]byte, hashed/files)
	for i := range files {
		if _, err := rand.Read(content); err != nil {
			b.Fatal(err)
		}
		at := filepath.Join(dir, fmt.Sprint(i%100), fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(at, content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// pureHash is how long sha256 takes for the same number of bytes that are in memory.
func pureHash() float64 {
	block := make([]byte, 1<<20)
	h := sha256.New()
	start := time.Now()
	for range hashed / len(block) {
		h.Write(block)
	}
	h.Sum(nil)
	return time.Since(start).Seconds()
}

// readAll is how long it takes to read a folder's files, one after the other.
func readAll(b *testing.B, dir string) float64 {
	b.Helper()
	evict(b, dir)
	buf := make([]byte, 1<<20)
	start := time.Now()
	eachFile(b, dir, func(f *os.File) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
		return err
	})
	return time.Since(start).Seconds()
}

// copySynced is how long it takes to copy a folder until it is on the disk.
func copySynced(b *testing.B, dir string) float64 {
	b.Helper()
	to := filepath.Join(b.TempDir(), "copy")
	evict(b, dir)
	start := time.Now()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	flush(b, to)
	return time.Since(start).Seconds()
}

// evict makes the next reading of the files come from the disk.
func evict(b *testing.B, dir string) {
	b.Helper()
	flush(b, dir)
	eachFile(b, dir, func(f *os.File) error {
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// flush returns once all that was written is on the disk.
func flush(b *testing.B, dir string) {
	b.Helper()
	f, err := os.Open(dir)
	if err == nil {
		err = unix.Syncfs(int(f.Fd()))
		f.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
}

// touch makes all files look changed.
func touch(b *testing.B, dir string) {
	b.Helper()
	now := time.Now()
	eachFile(b, dir, func(f *os.File) error { return os.Chtimes(f.Name(), now, now) })
}

func eachFile(b *testing.B, dir string, do func(f *os.File) error) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return do(f)
	})
	if err != nil {
		b.Fatal(err)
	}
}
