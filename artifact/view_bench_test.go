//go:build linux

package artifact

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// manyFilesIn makes a source of 100 small files in each of n/100 folders.
func manyFilesIn(b testing.TB, n int) string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("d%d/f%d.txt", i/100, i%100)] = fmt.Sprint(i)
	}
	return tree(b, files)
}

// BenchmarkView is what a step that is watched costs before it starts, and when its
// tree is removed.
func BenchmarkView(b *testing.B) {
	for _, n := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b)
			digest, _, err := s.Snapshot(b.Context(), manyFilesIn(b, n), SnapshotOptions{})
			must(b, err)
			at := filepath.Join(s.home, "view")
			for b.Loop() {
				v, err := s.View(b.Context(), digest, at)
				must(b, err)
				v.Opened()
				b.StopTimer()
				must(b, os.RemoveAll(at))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkLive is what a look at a live mount costs.
func BenchmarkLive(b *testing.B) {
	for _, n := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b)
			dir := manyFilesIn(b, n)
			for b.Loop() {
				_, err := s.LiveDigest(b.Context(), dir, SnapshotOptions{})
				must(b, err)
			}
		})
	}
}
