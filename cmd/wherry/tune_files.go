package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
)

// peekEvery is the time between two looks at a running container's files. Looks
// themselves take a tenth of the time at most.
const peekEvery = 300 * time.Millisecond

// maxEventFiles is how many event files of one attempt are read.
const maxEventFiles = 256

// metricsFiles reads the metrics file of one attempt of a task, or the event files of
// a folder: while it runs as copies of what its container has, at last as the
// artifact that was kept of it.
type metricsFiles struct {
	m       *meter
	task    string
	attempt int
	copies  metrics.Copies
	events  int
}

// files returns the reader of an attempt's files. A later attempt gets one of its own.
func (m *meter) files(task string, attempt int) *metricsFiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.readers[task]
	if f == nil || f.attempt < attempt {
		f = &metricsFiles{m: m, task: task, attempt: attempt}
		f.copies.Parser = f.parser
		if m.readers == nil {
			m.readers = map[string]*metricsFiles{}
		}
		m.readers[task] = f
	}
	return f
}

// parser is the parser of one file, by its path below the collector's; nil where it
// holds no metrics.
func (f *metricsFiles) parser(file string) metrics.Parser {
	c := f.m.e.Collector
	stream := f.task + ":" + path.Join(c.Path, file)
	if c.Kind == tuner.TensorFlowEvent {
		if !strings.Contains(path.Base(path.Join(c.Path, file)), "tfevents") {
			return nil
		}
		if f.events++; f.events > maxEventFiles {
			f.m.collector.Problem("%s has more than %d event files: the others are not read", c.Path, maxEventFiles)
			return nil
		}
		f.m.begin(stream, f.attempt)
		return metrics.NewEvents(f.m.collector, metrics.EventsOptions{Dir: path.Dir(path.Join(c.Path, file)), Source: stream})
	}
	if file != "" {
		return nil // the path is that of a folder
	}
	f.m.begin(stream, f.attempt)
	if c.JSON {
		return metrics.NewJSON(f.m.collector, metrics.JSONOptions{Source: stream})
	}
	t, _ := f.m.text(stream) // newMeter has seen that it can be made
	return t
}

// follow looks at the files of a running pod until ctx ends or the pod is gone.
func (f *metricsFiles) follow(ctx context.Context, peeker runner.Peeker, pod string) {
	var known fs.FileInfo
	for pause := peekEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		start := time.Now()
		info, err := f.look(ctx, peeker, pod, known)
		if known != nil && errors.Is(err, runner.ErrLost) || is[*runner.UnsupportedError](err) {
			return
		}
		if err == nil {
			known = info
		}
		pause = max(peekEvery, 9*time.Since(start))
	}
}

// look reads what is new, if the file's size and time say that there is anything.
func (f *metricsFiles) look(ctx context.Context, peeker runner.Peeker, pod string, known fs.FileInfo) (fs.FileInfo, error) {
	c := f.m.e.Collector
	container := f.m.e.Trial.Container
	info, err := peeker.PeekAt(ctx, pod, container, c.Path)
	if err != nil || known != nil && !info.IsDir() && info.Size() == known.Size() && info.ModTime().Equal(known.ModTime()) {
		return known, err
	}
	for range 2 {
		anew := false
		err := peeker.Peek(ctx, pod, container, c.Path, func(file string, r io.Reader) error {
			again, err := f.copies.Look(file, r)
			anew = anew || again
			return err
		})
		if err != nil || !anew {
			return info, err
		}
	}
	return known, nil // it is being rewritten; the next look will see
}

// finish reads the rest from what was kept at the end: the file or folder at, or
// nothing where that is empty.
func (f *metricsFiles) finish(at string) error {
	c := f.m.e.Collector
	if at == "" {
		f.m.collector.Problem("there was no %s at the end", c.Path)
		f.copies.End()
		return nil
	}
	err := filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(at, name)
		if err != nil {
			return err
		}
		if rel == "." {
			rel = ""
		}
		return f.readAll(name, filepath.ToSlash(rel))
	})
	if err != nil {
		return fmt.Errorf("read the metrics of %s: %w", f.task, err)
	}
	f.copies.End()
	return nil
}

func (f *metricsFiles) readAll(name, rel string) error {
	for {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		again, err := f.copies.Look(rel, file)
		file.Close()
		if err != nil || !again {
			return err
		}
	}
}
