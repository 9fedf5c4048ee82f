package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	big := write("big.json", "")
	if err := os.Truncate(big, MaxSize+1<<20); err != nil {
		t.Fatal(err)
	}
	flow := write("flow.yaml", "a: é\n")
	for _, tt := range []struct {
		path, msg, mend string
	}{
		{filepath.Join(dir, "flo.yaml"), "no such file", fmt.Sprintf("did you mean %q?", flow)},
		{filepath.Join(dir, "nothing.yaml"), "no such file", "name a file that exists"},
		{filepath.Join(dir, "no", "folder.yaml"), "no such file", "name a file that exists"},
		{filepath.Join(flow, "x.yaml"), "not a directory", ""},
		{dir, "is a directory, not a file", "name a file in it"},
		{write("empty.yaml", ""), "is empty", ""},
		{write("blank.yaml", " \n\t\r\n"), "is empty", ""},
		{write("zip.yaml", "PK\x03\x04\x00"), "is not text: byte 4 is 0x00", ""},
		{write("latin1.yaml", "a: Zo\xeb\n"), "is not text: byte 5 is 0xeb", ""},
		{big, "65 MiB is more than the 64 MiB that are read", ""},
		{"/dev/zero", "more than the 64 MiB that are read", ""},
	} {
		f, err := Read(tt.path)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Msg, tt.msg) || e.Mend != tt.mend || e.Error() != tt.path+": "+e.Msg {
			t.Errorf("Read(%s) = %v, %v (%+v); want %s (%s)", tt.path, f, err, e, tt.msg, tt.mend)
		}
	}
	if f, err := Read(flow); err != nil || f.Name != flow || string(f.Text) != "a: é\n" {
		t.Errorf("Read(flow.yaml) = %+v, %v", f, err)
	}
}

func TestDocuments(t *testing.T) {
	for text, want := range map[string]int{"a: 1": 1, "a: 1\n---\nb: 2\n": 2, "---\n# nothing\n---\na: 1\n---\n": 1, `{"a": [1]}`: 1, "null\n---\n7": 1} {
		docs, err := (&File{Text: []byte(text)}).Documents()
		if err != nil || len(docs) != want {
			t.Errorf("%q: %d documents, %v; want %d", text, len(docs), err, want)
		}
	}
	for text, want := range map[string]string{
		"# only\n":                     "f.yaml: holds only comments",
		"~":                            "f.yaml: holds only comments",
		"a: 1\nb: [\n":                 "f.yaml:2: not valid YAML: did not find expected node content",
		"a: 1\n\tb: 2\n":               "f.yaml:2: not valid YAML: found a tab character that violates indentation",
		"a: *x\n":                      "f.yaml:1: not valid YAML: unknown anchor 'x' referenced",
		"a:\n  b: 1\n c: 2\n":          "f.yaml:2: not valid YAML: did not find expected key",
		strings.Repeat("[", 10_001):    "f.yaml:1: collections nest deeper than 500",
		"\x1b[31mred: 1\n":             "f.yaml:1: not valid YAML: control characters are not allowed",
		strings.Repeat("- ", 20_000):   "exceeded max depth of 10000",
		strings.Repeat("[\n", 20_000):  "exceeded max depth of 10000",
		strings.Repeat("a: {", 20_000): "f.yaml:1: collections nest deeper than 500",
	} {
		_, err := (&File{Name: "f.yaml", Text: []byte(text)}).Documents()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestError(t *testing.T) {
	f := &File{Name: "f.yaml", Text: []byte("first\r\n\tsecond  \nlast")}
	for _, tt := range []struct {
		pos        Pos
		text, line string
	}{
		{Pos{}, "f.yaml: bad 7", ""},
		{Pos{Line: 1}, "f.yaml:1: bad 7", "first"},
		{Pos{Line: 2, Col: 5}, "f.yaml:2:5: bad 7", "\tsecond"},
		{Pos{Line: 3, Col: 1}, "f.yaml:3:1: bad 7", "last"},
		{Pos{Line: 4, Col: 1}, "f.yaml:4:1: bad 7", ""},
		{Pos{Line: 99}, "f.yaml:99: bad 7", ""},
	} {
		e := f.Errorf(tt.pos, "bad %d", 7).WithMend("do %s", "it")
		if e.Error() != tt.text || e.Text != tt.line || e.Hint() != "do it" {
			t.Errorf("%+v: %s, %q, %s; want %s, %q", tt.pos, e, e.Text, e.Hint(), tt.text, tt.line)
		}
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("abcdefghij", 30) + "XYZ"
	for _, tt := range []struct {
		name  string
		err   Error
		width int
		want  string
	}{
		{"no line", Error{Pos: Pos{Line: 3}}, 40, ""},
		{"no column", Error{Pos: Pos{Line: 3}, Text: "a: b"}, 40, "  3 | a: b"},
		{"column", Error{Pos: Pos{Line: 12, Col: 4}, Text: "a: b"}, 40, "  12 | a: b\n          ^"},
		{"tabs", Error{Pos: Pos{Line: 1, Col: 3}, Text: "\t\tb"}, 40, "  1 |   b\n        ^"},
		{"runes", Error{Pos: Pos{Line: 1, Col: 4}, Text: "世é x"}, 40, "  1 | 世é x\n         ^"},
		{"cut at the end", Error{Pos: Pos{Line: 1, Col: 2}, Text: long}, 20, "  1 | abcdefghijabcdefghij\n       ^"},
		{"cut at both ends", Error{Pos: Pos{Line: 1, Col: 101}, Text: long}, 20, "  1 | bcdefghijabcdefghija\n               ^"},
		{"cut at the start", Error{Pos: Pos{Line: 1, Col: 301}, Text: long}, 20, "  1 | defghijabcdefghijXYZ\n                       ^"},
		{"past the end", Error{Pos: Pos{Line: 1, Col: 6}, Text: "a: b"}, 40, "  1 | a: b\n           ^"},
		{"nothing that drives a terminal", Error{Pos: Pos{Line: 1, Col: 2}, Text: "a\x1b[31mb\u009b"}, 40, "  1 | a [31mb \n       ^"},
	} {
		if got := tt.err.Excerpt(tt.width); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestExcerptCaret asserts for every column that the caret is under its character.
func TestExcerptCaret(t *testing.T) {
	text := ""
	for i := range 300 {
		text += string(rune('Ā' + i)) // all differ
	}
	for _, width := range []int{2, 3, 20, 100, 1000} {
		for col := 1; col <= 300; col++ {
			e := Error{Pos: Pos{Line: 7, Col: col}, Text: text}
			line, caret, _ := strings.Cut(e.Excerpt(width), "\n")
			runes := []rune(line)
			if at := len(caret) - 1; at >= len(runes) || runes[at] != []rune(text)[col-1] || len(runes) > width+len("  7 | ") {
				t.Fatalf("width %d, column %d:\n%s\n%s", width, col, line, caret)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		of         []string
	}{
		{"trian", "train", []string{"load", "train", "tail"}},
		{"Train", "train", []string{"train"}},
		{"learning-rate", "learning_rate", []string{"learning_rate", "epochs"}},
		{"x", "", []string{"load", "train"}},
		{"x", "y", []string{"z", "y"}}, // of equals the first by name
		{"", "", nil},
		{"train", "", []string{"train"}},
		{"größe", "grösse", []string{"grösse"}},
		{strings.Repeat("x", 30_000_000), "", []string{"load", "train"}},
	} {
		if got := Nearest(tt.name, tt.of); got != tt.want {
			t.Errorf("Nearest(%.20q, %q) = %q, want %q", tt.name, tt.of, got, tt.want)
		}
	}
}

// FuzzRead asserts that every text is read or refused with a place that it has.
func FuzzRead(f *testing.F) {
	for _, text := range []string{"a: 1\n", "\ufeffa: 1", "a: &x [1]\nb: *x", "&a [*a]", "- - -\n", "a: |\n  x\n\ty", "%YAML 1.1\n---\n? [a]\n: b", "a: !!binary eA==\n<<: {b: 1}", "{\"a\": \"\\ud83d\"}", "\x00", "a: 2001-01-01"} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		file, err := Read(path)
		if err == nil {
			_, err = file.Documents()
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Fatalf("%d bytes took %s", len(text), took)
		}
		checkError(t, text, err)
	})
}

// checkError asserts that err, if any, is an *Error about a place in text.
func checkError(t *testing.T, text []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Msg == "" || e.File == "" {
		t.Fatalf("%#v is not a whole *Error", err)
	}
	lines := 1 // by YAML's breaks: an editor counts a carriage return alone otherwise
	for _, r := range string(text) {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			lines++
		}
	}
	if e.Pos.Line < 0 || e.Pos.Line > lines {
		t.Fatalf("%v: the text has %d lines", err, lines)
	}
	for _, r := range strings.ReplaceAll(e.Excerpt(100), "\n", "") {
		if unicode.IsControl(r) {
			t.Fatalf("%q shows %q", e.Excerpt(100), r)
		}
	}
}
