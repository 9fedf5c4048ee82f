package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// upDocument is what the process that is up tells of itself: what is not in the
// database. `wherry status` reads it; whether it is true, the lock says.
type upDocument struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Version string    `json:"version"`
	Project string    `json:"project"` // its wherry.yaml; empty: there is none
	Problem string    `json:"problem"` // what is wrong with that since it was read last
	Watches []upWatch `json:"watches"`
	Waits   []upWaits `json:"waits"` // runs that it can't go on with now
}

// upWatch is one watch.
type upWatch struct {
	Key   string `json:"key"`
	File  string `json:"file"`
	Name  string `json:"name"`
	State string `json:"state"` // as a run's; WAITING while it can't run; empty: nothing has run yet
	Run   string `json:"run"`   // the newest; empty: none yet
	Why   string `json:"why"`   // it can't run, or has failed
}

// watchWaits is the state of a watch that can't run.
const watchWaits = "WAITING"

// upWaits is why a run is not gone on with.
type upWaits struct {
	Run string `json:"run"`
	Why string `json:"why"`
}

// upState keeps the document in a file. It is safe for concurrent use.
type upState struct {
	path string

	mu      sync.Mutex
	doc     upDocument
	watches map[string]upWatch
	waits   map[string]string
	written []byte
}

func (g *globals) upStatePath() string { return filepath.Join(g.upFolder(), "state.json") }

func newUpState(g *globals, project string) *upState {
	v, _ := buildVersion()
	return &upState{
		path: g.upStatePath(), watches: map[string]upWatch{}, waits: map[string]string{},
		doc: upDocument{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second), Version: v, Project: project},
	}
}

// change changes what is told. A file that can't be written costs only the telling.
func (s *upState) change(f func(s *upState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
	if text, err := s.text(); err == nil && !bytes.Equal(text, s.written) {
		_ = s.write()
	}
}

func (s *upState) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write()
}

// text is the document as it is now. s.mu must be held, as for write.
func (s *upState) text() ([]byte, error) {
	s.doc.Watches = slices.SortedFunc(maps.Values(s.watches), func(a, b upWatch) int { return cmp.Compare(a.Key, b.Key) })
	s.doc.Waits = nil
	for _, run := range sortedNames(s.waits) {
		s.doc.Waits = append(s.doc.Waits, upWaits{run, s.waits[run]})
	}
	return json.Marshal(s.doc)
}

// write replaces the file as a whole.
func (s *upState) write() error {
	text, err := s.text()
	if err != nil {
		return err
	}
	s.written = text
	if err := os.WriteFile(s.path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}

func (s *upState) remove() { _ = os.Remove(s.path) }

// readUpState returns what the process that is up, or was killed, has told.
func (g *globals) readUpState() (*upDocument, error) {
	text, err := os.ReadFile(g.upStatePath())
	if err != nil {
		return nil, err
	}
	d := &upDocument{}
	return d, json.Unmarshal(text, d)
}
