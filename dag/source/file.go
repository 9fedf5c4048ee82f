package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the size in bytes of the largest file that is read.
const MaxSize = 64 << 20

// maxDepth is how deep collections may nest; real pipelines stay under 50.
const maxDepth = 500

// Pos is a place in a file, counted from 1. The zero value is no place.
type Pos struct {
	Line int `json:"line,omitempty"`
	Col  int `json:"col,omitempty"`
}

// File is a file that a person wrote.
type File struct {
	Name string // as the person named it
	Text []byte
}

// Read reads the file at path. What is not a readable, non-empty text file is an
// *Error that says so.
func Read(path string) (*File, error) {
	content, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return newFile(path, content)
}

// readBounded returns the content of the file at path, whatever it is.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{File: path, Msg: "no such file", Mend: nearestFile(path)}
	case err != nil:
		return nil, &Error{File: path, Msg: rootCause(err)}
	case info.IsDir():
		return nil, &Error{File: path, Msg: "is a directory, not a file", Mend: "name a file in it"}
	case info.Size() > MaxSize:
		return nil, &Error{File: path, Msg: fmt.Sprintf("%d MiB is more than the %d MiB that are read", info.Size()>>20, MaxSize>>20)}
	}
	content, err := readAll(path)
	if err != nil {
		return nil, &Error{File: path, Msg: rootCause(err)}
	}
	if len(content) > MaxSize {
		return nil, &Error{File: path, Msg: fmt.Sprintf("holds more than the %d MiB that are read", MaxSize>>20)}
	}
	return content, nil
}

// Of is a text that lies inside another file, as a file of that name.
func Of(name string, text []byte) (*File, error) { return newFile(name, text) }

// newFile is a file of this text; what is empty or no text is an *Error.
func newFile(name string, text []byte) (*File, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, &Error{File: name, Msg: "is empty"}
	}
	if i := badByte(text); i >= 0 {
		return nil, &Error{File: name, Msg: fmt.Sprintf("is not text: byte %d is 0x%02x", i, text[i])}
	}
	return &File{Name: name, Text: text}, nil
}

// readAll reads at most a byte more than MaxSize: a device has no size, and no end.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// nearestFile is the advice for a path at which there is nothing: the file beside
// it that was probably meant.
func nearestFile(path string) string {
	dir, ext := filepath.Dir(path), filepath.Ext(path)
	entries, _ := os.ReadDir(dir) // no such folder: no names
	var stems []string
	for _, e := range entries {
		if stem, ok := strings.CutSuffix(e.Name(), ext); ok {
			stems = append(stems, stem)
		}
	}
	if near := Nearest(strings.TrimSuffix(filepath.Base(path), ext), stems); near != "" {
		return fmt.Sprintf("did you mean %q?", filepath.Join(dir, near+ext))
	}
	return "name a file that exists"
}

// rootCause drops the operation and path that an *fs.PathError repeats.
func rootCause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// badByte returns the index of the first byte that no text file has, or -1.
func badByte(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == 0 || r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// Documents parses the file's YAML documents; JSON is YAML. Empty documents are
// left out. Each *yaml.Node is the document's content, not its wrapper.
func (f *File) Documents() ([]*yaml.Node, error) {
	if err := f.checkDepth(); err != nil {
		return nil, err
	}
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(f.Text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, f.syntaxError(err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		docs = append(docs, doc.Content[0])
	}
	if len(docs) == 0 {
		return nil, f.Errorf(Pos{}, "holds only comments")
	}
	return docs, nil
}

// checkDepth refuses flow collections that nest too deep before the parser
// spends memory on them. Brackets in quoted text count too, up to a line's end:
// no honest line opens so many.
func (f *File) checkDepth() error {
	depth, line := 0, 1
	for _, c := range f.Text {
		switch c {
		case '\n':
			line++
			depth = 0
		case '[', '{':
			if depth++; depth > maxDepth*20 {
				return f.Errorf(Pos{Line: line}, "collections nest deeper than %d", maxDepth)
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return nil
}

// syntaxError turns the parser's "yaml: line 3: …" into a positioned error.
func (f *File) syntaxError(err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	var pos Pos
	if n, _ := fmt.Sscanf(msg, "line %d:", &pos.Line); n == 1 {
		_, msg, _ = strings.Cut(msg, ": ")
	} else {
		pos.Line = 1 // the parser leaves it out
	}
	return f.Errorf(pos, "not valid YAML: %s", msg)
}

// Errorf returns an *Error about the place pos of the file.
func (f *File) Errorf(pos Pos, format string, args ...any) *Error {
	e := &Error{File: f.Name, Pos: pos, Msg: fmt.Sprintf(format, args...)}
	e.Text = f.line(pos.Line)
	return e
}

// line returns the text of line n, or "" where there is none.
func (f *File) line(n int) string {
	if n < 1 {
		return ""
	}
	rest := f.Text
	for ; n > 1; n-- {
		_, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return ""
		}
		rest = after
	}
	text, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimRight(string(text), "\r ")
}

// Error is what is wrong with a file, and where.
type Error struct {
	File string
	Pos  Pos
	Msg  string
	Text string // the line itself
	Mend string // what to do; may be empty
}

// Error returns file:line:col: message. The line itself is shown by Excerpt.
func (e *Error) Error() string {
	switch {
	case e.Pos.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	case e.Pos.Col == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Pos.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Pos.Line, e.Pos.Col, e.Msg)
}

// Hint says what to do next; "" where the message says it all.
func (e *Error) Hint() string { return e.Mend }

// Excerpt returns the line that the error is about with a caret under the
// column, cut to width characters; "" where there is none.
func (e *Error) Excerpt(width int) string {
	text := []rune(strings.Map(visible, e.Text))
	if len(text) == 0 {
		return ""
	}
	start := 0
	if e.Pos.Col > width/2 {
		start = min(e.Pos.Col-width/2, max(0, len(text)-width))
	}
	end := min(len(text), start+width)
	out := fmt.Sprintf("  %d | %s", e.Pos.Line, string(text[start:end]))
	if e.Pos.Col > 0 {
		pad := len(fmt.Sprintf("  %d | ", e.Pos.Line)) + e.Pos.Col - 1 - start
		out += "\n" + strings.Repeat(" ", pad) + "^"
	}
	return out
}

// visible makes a space of a tab and of what would drive a terminal.
func visible(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// WithMend returns e with advice.
func (e *Error) WithMend(format string, args ...any) *Error {
	e.Mend = fmt.Sprintf(format, args...)
	return e
}
