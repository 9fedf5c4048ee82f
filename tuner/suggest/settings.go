package suggest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Setting is one algorithm setting as a file gives it.
type Setting struct{ Name, Value string }

// settings reads an algorithm's settings: each call takes one by name, and the first
// error is kept. Names compare without case and underscores, so that n_EI_candidates
// and n_ei_candidates are one.
type settings struct {
	algorithm string
	given     []Setting
	known     []string
	err       error
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func (s *settings) take(name string) (string, bool) {
	s.known = append(s.known, name)
	for _, g := range s.given {
		if fold(g.Name) == fold(name) {
			return strings.TrimSpace(g.Value), true
		}
	}
	return "", false
}

func (s *settings) fail(name, value, want string) {
	if s.err == nil {
		s.err = &SettingError{Name: name, Reason: fmt.Sprintf("is to be %s, not %q", want, value)}
	}
}

// int takes a whole number of at least low.
func (s *settings) int(name string, def, low int) int {
	v, ok := s.take(name)
	if !ok || v == "" || v == "None" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low {
		s.fail(name, v, fmt.Sprintf("a whole number of at least %d", low))
	}
	return n
}

// float takes a number from low to high.
func (s *settings) float(name string, def, low, high float64) float64 {
	v, ok := s.take(name)
	if !ok || v == "" || v == "None" {
		return def
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) || f < low || f > high {
		s.fail(name, v, fmt.Sprintf("a number from %g to %g", low, high))
	}
	return f
}

// oneOf takes one of some words.
func (s *settings) oneOf(name, def string, words ...string) string {
	v, ok := s.take(name)
	if !ok || v == "" {
		return def
	}
	for _, w := range words {
		if strings.EqualFold(w, v) {
			return w
		}
	}
	s.fail(name, v, "one of "+strings.Join(words, ", "))
	return def
}

// bool takes true or false.
func (s *settings) bool(name string, def bool) bool {
	return s.oneOf(name, strconv.FormatBool(def), "true", "false") == "true"
}

// text takes any text.
func (s *settings) text(name, def string) string {
	if v, ok := s.take(name); ok {
		return v
	}
	return def
}

// ignore accepts settings that mean nothing here.
func (s *settings) ignore(names ...string) { s.known = append(s.known, names...) }

// done is the first error, or an unknown setting.
func (s *settings) done() error {
	if s.err != nil {
		return s.err
	}
	for _, g := range s.given {
		if !slices.ContainsFunc(s.known, func(k string) bool { return fold(k) == fold(g.Name) }) {
			return &SettingError{Name: g.Name, Reason: fmt.Sprintf("is no setting of %s; it has: %s", s.algorithm, strings.Join(s.known, ", "))}
		}
	}
	return nil
}

// SettingError says what is wrong with one algorithm setting.
type SettingError struct{ Name, Reason string }

func (e *SettingError) Error() string {
	return fmt.Sprintf("algorithm setting %s %s", e.Name, e.Reason)
}

// only takes some of the settings, for an algorithm that this one hands them on to.
func (s *settings) only(names ...string) (out []Setting) {
	for _, name := range names {
		if v, ok := s.take(name); ok {
			out = append(out, Setting{name, v})
		}
	}
	return out
}

// with builds an algorithm that this one hands settings on to.
func (s *settings) with(given []Setting, build func(*settings) Algorithm) Algorithm {
	inner := &settings{algorithm: s.algorithm, given: given}
	a := build(inner)
	s.err = cmp.Or(s.err, inner.err)
	return a
}
