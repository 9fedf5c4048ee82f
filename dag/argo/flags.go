package argo

import (
	"regexp"
	"strings"
	"unicode"
)

// option is a flag in a container's arguments and the value that follows it.
type option struct {
	name    string // without its dashes
	value   []part
	isValue bool // false: nothing follows it
}

// inlineScript is the option of a shell whose value is a script.
var inlineScript = regexp.MustCompile(`^-[a-z]*c$`)

// flagsOf returns the flags that args hold, in order, and those in a shell
// script among command and args (sh -c SCRIPT). What stands in command itself
// are the interpreter's.
func flagsOf(command, args [][]part) []option {
	var flags []option
	var words [][]part
	previous := ""
	for i, parts := range append(append([][]part{}, command...), args...) {
		switch {
		case inlineScript.MatchString(previous) && hasSpace(parts):
			flags = append(flags, flagsOfWords(words)...)
			words = nil
			flags = append(flags, flagsOfWords(shellWords(parts))...)
		case i >= len(command):
			words = append(words, append([]part{}, parts...)) // not nil: an empty argument is one
		}
		previous, _ = literal(parts)
	}
	return append(flags, flagsOfWords(words)...)
}

func hasSpace(parts []part) bool {
	for _, p := range parts {
		if strings.ContainsFunc(p.lit, unicode.IsSpace) {
			return true
		}
	}
	return false
}

// flagsOfWords finds --flag VALUE and --flag=VALUE. A nil word is where one
// command of a script ends.
func flagsOfWords(words [][]part) []option {
	var flags []option
	for i, w := range words {
		if len(w) == 0 || w[0].ref != nil || !isFlag(w) {
			continue
		}
		name, rest, hasValue := strings.Cut(strings.TrimPrefix(w[0].lit, "--"), "=")
		switch {
		case hasValue:
			value := []part{}
			if rest != "" {
				value = append(value, part{lit: rest})
			}
			flags = append(flags, option{name, append(value, w[1:]...), true})
		case len(w) > 1: // --{{…}}: no name that can be known
		case i+1 < len(words) && words[i+1] != nil && !isOption(words[i+1]):
			flags = append(flags, option{name, words[i+1], true})
		default:
			flags = append(flags, option{name: name})
		}
	}
	return flags
}

func isFlag(w []part) bool { return len(w[0].lit) > 2 && strings.HasPrefix(w[0].lit, "--") }

// isOption reports whether a word is an option rather than a value: -x, --x, but
// not -1 or -.
func isOption(w []part) bool {
	if len(w) == 0 || w[0].ref != nil || len(w[0].lit) < 2 || w[0].lit[0] != '-' {
		return false
	}
	return !strings.ContainsRune("0123456789.", rune(w[0].lit[1]))
}

// shellWords splits a script as a POSIX shell would, as far as that is needed to
// find flags: quotes, backslashes and comments count; what the shell would
// expand becomes refUnknown; what ends a command becomes a nil word.
func shellWords(script []part) [][]part {
	s := &splitter{}
	for _, p := range script {
		if p.ref != nil {
			s.flush()
			s.word, s.open = append(s.word, p), true
			continue
		}
		s.text(p.lit)
	}
	s.end()
	return s.words
}

type splitter struct {
	words   [][]part
	word    []part
	lit     strings.Builder
	open    bool // a word has begun, even if it is empty so far
	quote   rune // 0, ' or "
	escape  bool
	comment bool
}

func (s *splitter) text(t string) {
	for _, c := range t {
		switch {
		case s.comment:
			if c == '\n' {
				s.comment = false
				s.stop()
			}
		case s.escape:
			s.escape = false
			if c != '\n' { // else the line goes on
				s.add(c)
			}
		case c == '\\' && s.quote != '\'':
			s.escape = true
		case s.quote != 0 && c == s.quote:
			s.quote = 0
		case s.quote == 0 && (c == '\'' || c == '"'):
			s.quote, s.open = c, true
		case s.quote != '\'' && (c == '$' || c == '`'):
			s.flush()
			s.word, s.open = append(s.word, part{ref: &ref{kind: refUnknown}}), true
			s.add(c)
		case s.quote == 0:
			s.bare(c)
		default:
			s.add(c)
		}
	}
}

// bare takes a character outside quotes.
func (s *splitter) bare(c rune) {
	switch {
	case c == '#' && !s.open:
		s.comment = true
	case strings.ContainsRune(";|&()<>\n", c):
		s.stop()
	case unicode.IsSpace(c):
		s.end()
	default:
		s.add(c)
	}
}

func (s *splitter) add(c rune) {
	s.lit.WriteRune(c)
	s.open = true
}

func (s *splitter) flush() {
	if s.lit.Len() > 0 {
		s.word = append(s.word, part{lit: s.lit.String()})
		s.lit.Reset()
	}
}

func (s *splitter) end() {
	s.flush()
	if s.open {
		if s.word == nil {
			s.word = []part{}
		}
		s.words = append(s.words, s.word)
	}
	s.word, s.open = nil, false
}

func (s *splitter) stop() {
	s.end()
	s.words = append(s.words, nil)
}
