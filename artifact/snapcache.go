package artifact

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// remembered is what Snapshot knows of a source from the last time:
// snapshots/<sha256 of the source's path>. It only saves reading; a lost or
// broken one costs time.
type remembered struct {
	Source string          `json:"source"`
	Taken  int64           `json:"taken"` // ns since 1970, before the source was looked at
	Files  map[string]seen `json:"files"` // by relative path
}

type seen struct {
	Size  int64  `json:"size"`
	Mtime int64  `json:"mtime"` // ns since 1970
	Ctime int64  `json:"ctime"`
	Inode uint64 `json:"inode"`
	Sum   []byte `json:"sha256"`
}

func (s *Store) rememberedPath(source string) string {
	return filepath.Join(s.snapshots(), sum(sha256.Sum256([]byte(source))).hex())
}

// recall returns what is known of source, which may be nothing.
func (s *Store) recall(source string) *remembered {
	none := &remembered{}
	r, err := readRemembered(s.rememberedPath(source))
	if err != nil || r.Source != source {
		return none
	}
	return r
}

func readRemembered(path string) (*remembered, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r remembered
	return &r, json.Unmarshal(data, &r)
}

// known returns the digest that the file e had the last time, and whether it is
// certain that it still has it. As in git's index, a file that was written in
// the very moment it was looked at is not certain: another write in the same
// tick of the clock would not show.
func (r *remembered) known(e *entry) (d sum, certain, ok bool) {
	f, ok := r.Files[e.path]
	if !ok || len(f.Sum) != len(d) {
		return d, false, false
	}
	d = sum(f.Sum)
	same := f.Size == e.stat.size && f.Mtime == e.stat.mtime && f.Ctime == e.stat.ctime && f.Inode == e.stat.ino
	return d, same && max(f.Mtime, f.Ctime)+tick(f) < r.Taken, true
}

// tick is how far apart two writes must be to be told apart: file systems
// stamp whole seconds or with the kernel's timer.
func tick(f seen) int64 {
	if f.Mtime%int64(time.Second) == 0 && f.Ctime%int64(time.Second) == 0 {
		return int64(2 * time.Second)
	}
	return int64(50 * time.Millisecond)
}

// remember replaces what is known of source. Nothing depends on its success.
func (s *Store) remember(st *stage, source string, taken time.Time, entries []entry) error {
	r := remembered{Source: source, Taken: taken.UnixNano(), Files: make(map[string]seen, len(entries))}
	for i := range entries {
		if e := &entries[i]; e.isFile() {
			r.Files[e.path] = seen{Size: e.stat.size, Mtime: e.stat.mtime, Ctime: e.stat.ctime,
				Inode: e.stat.ino, Sum: e.sum[:]}
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return errors.Join(
		st.WriteFile("remembered", data, 0o600),
		os.Rename(st.path("remembered"), s.rememberedPath(source)))
}
