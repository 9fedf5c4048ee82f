package logfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wherry-ml/wherry/runner"
	"pgregory.net/rapid"
)

// anyLine draws a line of any bytes but a newline.
func anyLine(rt *rapid.T) runner.Line {
	text := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "text")
	if rapid.IntRange(0, 4).Draw(rt, "progress bar") == 0 {
		text = append(text, '\r')
	}
	return runner.Line{
		Time:      time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "s"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns")).UTC(),
		Container: rapid.SampledFrom([]string{"main", "side-car", "世"}).Draw(rt, "container"),
		Stream:    rapid.SampledFrom([]runner.Stream{runner.Stdout, runner.Stderr}).Draw(rt, "stream"),
		Text:      bytes.ReplaceAll(text, []byte("\n"), []byte(" ")),
		Partial:   rapid.Bool().Draw(rt, "partial"),
	}
}

func write(t testing.TB, path string, lines []runner.Line) {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := w.Line(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func readAll(path string) (lines []runner.Line, err error) {
	err = Read(path, func(l runner.Line) bool {
		lines = append(lines, l)
		return true
	})
	return lines, err
}

// TestRoundTrip asserts that lines come back as they were written, whatever bytes
// they hold, and that Tail returns the last of them.
func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "r1", "1-1.log")
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(anyLine), 0, 30).Draw(rt, "lines")
		write(t, path, lines)
		got, err := readAll(path)
		if diff := cmp.Diff(lines, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); err != nil || len(lines) > 0 && diff != "" {
			rt.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		n := rapid.IntRange(0, 40).Draw(rt, "n")
		tail, err := Tail(path, n)
		want := lines[max(0, len(lines)-n):]
		if diff := cmp.Diff(want, tail, cmp.Transformer("text", func(b []byte) string { return string(b) })); err != nil || len(tail) != len(want) || len(want) > 0 && diff != "" {
			rt.Fatalf("Tail(%d) %v (-want +got):\n%s", n, err, diff)
		}
	})
}

func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	at := time.Date(2026, 11, 23, 20, 0, 0, 120, time.FixedZone("", 3600))
	write(t, path, []runner.Line{
		{Time: at, Stream: runner.Stdout, Text: []byte("text of the  line ")},
		{Time: at, Stream: runner.Stderr, Container: "side", Partial: true, Text: []byte("\x00\xff\r")},
		{Time: at, Stream: runner.Stdout, Container: "main"},
	})
	got, err := os.ReadFile(path)
	want := "2026-11-23T19:00:00.000000120Z stdout F main text of the  line \n" +
		"2026-11-23T19:00:00.000000120Z stderr P side \x00\xff\r\n" +
		"2026-11-23T19:00:00.000000120Z stdout F main \n"
	if err != nil || string(got) != want {
		t.Errorf("%v: got\n%q\nwant\n%q", err, got, want)
	}
}

func TestLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	long := bytes.Repeat([]byte("x"), 5<<20)
	write(t, path, []runner.Line{{Stream: runner.Stdout, Container: "main", Text: long}, {Stream: runner.Stdout, Container: "main", Text: []byte("y")}})
	got, err := readAll(path)
	if err != nil || len(got) != 2 || !bytes.Equal(got[0].Text, long) || string(got[1].Text) != "y" {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

func TestCreateEmpties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, []runner.Line{{Stream: runner.Stdout, Text: []byte("first try")}})
	write(t, path, nil)
	if got, err := readAll(path); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(path, "below", "a file.log")); err == nil {
		t.Error("a log below a file was made")
	}
}

func TestReadStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, []runner.Line{{Stream: runner.Stdout, Text: []byte("a")}, {Stream: runner.Stdout, Text: []byte("b")}})
	n := 0
	if err := Read(path, func(runner.Line) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestReadErrors(t *testing.T) {
	if _, err := readAll(filepath.Join(t.TempDir(), "absent.log")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing log: %v", err)
	}
	if _, err := Tail(filepath.Join(t.TempDir(), "absent.log"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tail of a missing log: %v", err)
	}
	for _, text := range []string{"hello\n", "\n", "2026-11-23T19:00:00Z stdout F main\n", "yesterday stdout F main x\n"} {
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, []byte("2026-11-23T19:00:00Z stdout F main ok\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(path)
		if len(got) != 1 || err == nil || !strings.Contains(err.Error(), "not a line of a log") {
			t.Errorf("%q: %d lines, %v", text, len(got), err)
		}
	}
}

// FuzzRead asserts that what is read is written as it was.
func FuzzRead(f *testing.F) {
	f.Add([]byte("2026-11-23T19:00:00.123456789Z stdout F main text of the line\n"))
	f.Add([]byte("2026-11-23T19:00:00Z stderr P a \x00\xff \r\n2026-11-23T19:00:00+01:00  X  \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var first []runner.Line
		if err := read(bytes.NewReader(text), func(l runner.Line) bool { first = append(first, l); return true }); err != nil {
			return
		}
		for i := range first {
			if first[i].Container == "" {
				first[i].Container = "main"
			}
			if first[i].Time.UTC().Year() < 0 || first[i].Time.UTC().Year() > 9999 {
				return // no engine says so
			}
		}
		path := filepath.Join(t.TempDir(), "a.log")
		write(t, path, first)
		again, err := readAll(path)
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	})
}
