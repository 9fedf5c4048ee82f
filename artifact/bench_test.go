package artifact

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkAddFile stores a file of 1 GB and prints the ratio to reading it
// with sha256 alone, as sha256sum does.
func BenchmarkAddFile(b *testing.B) {
	s := open(b)
	name := filepath.Join(b.TempDir(), "model")
	f, err := os.Create(name)
	must(b, err)
	block := make([]byte, 1<<20)
	for i := range 1000 {
		copy(block, fmt.Sprint(i))
		_, err := f.Write(block)
		must(b, err)
	}
	must(b, f.Sync())
	must(b, f.Close())
	b.SetBytes(1000 << 20)
	var plain, stored time.Duration
	for b.Loop() {
		begin := time.Now()
		f, err := os.Open(name)
		must(b, err)
		h := sha256.New()
		_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, block)
		must(b, err)
		f.Close()
		plain += time.Since(begin)

		begin = time.Now()
		d, _, err := s.Add(b.Context(), name)
		must(b, err)
		stored += time.Since(begin)
		must(b, s.Remove(d))
	}
	b.ReportMetric(float64(stored)/float64(plain), "×sha256")
}

// BenchmarkSnapshot takes 5,000 small files: for the first time, with one
// changed, and unchanged. The ratio is to os.CopyFS, since the time to make a
// file differs widely: ext4 is slow for a minute after many were deleted.
func BenchmarkSnapshot(b *testing.B) {
	dir := tree(b, nil)
	for i := range 5000 {
		fill(b, filepath.Join(dir, fmt.Sprint("pkg", i%50)), map[string]string{fmt.Sprintf("mod%d.py", i): fmt.Sprintf("x = %d\n%1000d", i, i)})
	}
	b.Run("first", func(b *testing.B) {
		var copied, taken time.Duration
		for b.Loop() {
			s := open(b)
			begin := time.Now()
			must(b, os.CopyFS(filepath.Join(s.home, "copy"), os.DirFS(dir)))
			copied += time.Since(begin)
			begin = time.Now()
			take(b, s, dir)
			taken += time.Since(begin)
		}
		b.ReportMetric(taken.Seconds()/float64(b.N), "s/snapshot")
		b.ReportMetric(float64(taken)/float64(copied), "×copy")
	})
	s := open(b)
	take(b, s, dir)
	take(b, s, dir)
	b.Run("changed", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			must(b, os.WriteFile(filepath.Join(dir, "pkg7/mod7.py"), fmt.Append(nil, "y = ", n), 0o644))
			take(b, s, dir)
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			take(b, s, dir)
		}
	})
}

func take(b *testing.B, s *Store, dir string) {
	b.Helper()
	_, _, err := s.Snapshot(b.Context(), dir, SnapshotOptions{})
	must(b, err)
}

// BenchmarkAddTree stores an output of 5,000 small files.
func BenchmarkAddTree(b *testing.B) {
	files := map[string]string{}
	for i := range 5000 {
		files[fmt.Sprintf("d%d/f%d", i%50, i)] = fmt.Sprintf("%1000d", i)
	}
	for b.Loop() {
		b.StopTimer()
		s, dir := open(b), tree(b, files)
		b.StartTimer()
		_, _, err := s.Add(b.Context(), dir)
		must(b, err)
	}
}
