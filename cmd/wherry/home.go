package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// homeIDFile holds what tells homes of the same path apart, those of two machines on
// one engine. It is made once, before the database.
const homeIDFile = "id"

// homeID is a short id of WHERRY_HOME, for the names of what runs on an engine: of its
// path and its file. A home from before there was such a file has its path alone.
func (g *globals) homeID() string {
	text := g.Home
	if own, err := os.ReadFile(filepath.Join(g.Home, homeIDFile)); err == nil {
		text += "\n" + strings.TrimSpace(string(own))
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:8]
}

// nameHome makes the file of a home that has no database yet. Of several processes
// that come at once, the first one's counts.
func (g *globals) nameHome(database string) error {
	if _, err := os.Stat(database); !errors.Is(err, fs.ErrNotExist) {
		return nil // what runs already has the names that it has
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	f, err := os.CreateTemp(g.Home, ".id-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, hex.EncodeToString(random[:]))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Link(f.Name(), filepath.Join(g.Home, homeIDFile)) // whole, or not at all
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
