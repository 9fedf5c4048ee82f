package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag"
	"github.com/wherry-ml/wherry/watch"
)

// sayChanged names what was saved.
func (s *watching) sayChanged(set watch.Set) {
	var names []string
	for _, path := range set.Paths[:min(3, len(set.Paths))] {
		names = append(names, relativeName(path))
	}
	text := "changed: " + strings.Join(names, ", ")
	if more := len(set.Paths) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	s.line("▸ " + text)
}

// line prints a line of the watch itself; unlike a note it is said each time.
func (s *watching) line(text string) {
	s.say(text)
}

// sayWatching tells what is awaited, and which keys there are.
func (s *watching) sayWatching() {
	text := fmt.Sprintf("watching %s, %s", count(s.w.Files(), "file"), count(s.w.Folders(), "folder"))
	if s.keys {
		text += "; r re-run, s stop, l logs, q quit"
	}
	s.line(text)
}

// printWatched prints how a run has ended, and returns the error that gives the exit
// code.
func (s *watching) printWatched(c *watched) error {
	if s.structured() {
		if err := s.printWatchedDocument(newDocument(c.run, c.executions)); err != nil {
			return err
		}
	} else if c.run.State == dag.Succeeded {
		printFindings(s.Out, c.run, c.executions)
	}
	if c.replaced {
		return nil
	}
	s.line(watchedLine(c, time.Now()))
	switch c.run.State {
	case dag.Succeeded:
		return nil
	case dag.Canceled:
		return &workError{state: c.run.State, msg: "canceled"}
	}
	s.say("try: " + failureMend(c.run, c.executions))
	return &workError{state: c.run.State, msg: c.run.Error}
}

// watchedLine is a run's end in one line.
func watchedLine(c *watched, now time.Time) string {
	ran, cached, failed := 0, 0, 0
	for _, x := range c.executions {
		switch {
		case x.Kind != dag.KindContainer:
		case x.Cached:
			cached++
		case x.State == dag.Failed:
			failed++
		case x.State == dag.Succeeded:
			ran++
		}
	}
	text := fmt.Sprintf("%s %s in %.1f s: %d ran, %d cached", c.run.Pipeline.Name, c.run.State, c.run.Ended.Sub(c.run.Started).Seconds(), ran, cached)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	if !c.saved.IsZero() {
		text += fmt.Sprintf("; %.1f s after the save", now.Sub(c.saved).Seconds())
	}
	return text
}

// printWatchedDocument prints a run's document: with -o json as one line, with -o yaml
// as one document of a stream.
func (s *watching) printWatchedDocument(d document) error {
	if s.Output == "yaml" {
		fmt.Fprintln(s.Out, "---")
		return s.printDocument(d)
	}
	enc := json.NewEncoder(s.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(d)
}
