package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// debugRecord is what a debug session has made. It lies in WHERRY_HOME from before the
// pod is made until it is removed; the session's lock says whether it still lives.
type debugRecord struct {
	Pod     string   `json:"pod"`
	Backend string   `json:"backend"`
	Volumes []string `json:"volumes,omitempty"`
}

func (g *globals) debugFile(session string) string {
	return filepath.Join(g.Home, "debug", session+".json")
}

func (g *globals) recordDebug(session string, r debugRecord) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(g.Home, "debug"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(g.debugFile(session), text, 0o600)
}

// forgetDebug drops a session's record once nothing of it is left.
func (g *globals) forgetDebug(session string) error {
	err := os.Remove(g.debugFile(session))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(g.Home, "runs", session)))
}

// removeDebug removes what a session made. It can be repeated.
func removeDebug(ctx context.Context, b runner.Backend, r debugRecord) error {
	if err := b.Remove(ctx, r.Pod); err != nil {
		return err
	}
	remover, ok := b.(runner.VolumeRemover)
	for _, name := range r.Volumes {
		if !ok {
			break
		}
		if err := remover.RemoveVolume(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// sweepDebug removes what debug sessions on this backend left that were killed. What
// can't be removed now is tried again by the next command.
func (g *globals) sweepDebug(ctx context.Context, backend string, b runner.Backend) {
	files, _ := filepath.Glob(g.debugFile("*"))
	for _, file := range files {
		session := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		var r debugRecord
		if err != nil || json.Unmarshal(text, &r) != nil || r.Backend != backend || g.driven(session) {
			continue
		}
		if removeDebug(ctx, b, r) == nil {
			_ = g.forgetDebug(session)
		}
	}
}
