package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

const scheme = "sha256:"

type sum [sha256.Size]byte

func (d sum) hex() string    { return hex.EncodeToString(d[:]) }
func (d sum) String() string { return scheme + d.hex() }

// parseDigest accepts exactly what sum.String returns: the text becomes part of
// a path.
func parseDigest(text string) (sum, error) {
	var d sum
	h, ok := strings.CutPrefix(text, scheme)
	if !ok || len(h) != 2*len(d) || strings.ToLower(h) != h {
		return d, &DigestError{text}
	}
	if _, err := hex.Decode(d[:], []byte(h)); err != nil {
		return d, &DigestError{text}
	}
	return d, nil
}

// The kinds of a directory's entries, as they stand in its manifest.
const (
	kindDir  = 'd'
	kindFile = 'f'
	kindExec = 'x' // a file that its owner may execute
	kindLink = 'l'
)

// entry is a file, directory or symbolic link below a directory.
type entry struct {
	path   string // relative to the directory, with slashes
	kind   byte
	sum    sum    // of a file's content, once hashed
	target string // of a link
	stat   stat
	hollow bool // a file without content, whatever lies there
}

func (e *entry) isFile() bool { return e.kind == kindFile || e.kind == kindExec }

// sortEntries puts entries in the order of a manifest, in which a directory
// comes before what it holds.
func sortEntries(entries []entry) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
}

// treeSum is the digest of a directory: sha256 of a manifest, which is a header
// and one record for each entry, sorted by the bytes of its path. Neither paths
// nor link targets can hold a NUL byte, so that no two directories have the
// same manifest.
//
//	d <path> NUL
//	f <sha256 of the content in hex> <path> NUL          (x where it is executable)
//	l <target> NUL <path> NUL
func treeSum(entries []entry) sum {
	h := sha256.New()
	writeManifest(h, entries)
	return sum(h.Sum(nil))
}

// execSum is the digest of an executable file that stands alone: that of a
// manifest whose one entry has no name, since plain sha256 of its content names
// the same file without the executable bit.
func execSum(content sum) sum {
	return treeSum([]entry{{kind: kindExec, sum: content}})
}

func treeSize(entries []entry) int64 {
	var n int64
	for i := range entries {
		if entries[i].isFile() {
			n += entries[i].stat.size
		}
	}
	return n
}
