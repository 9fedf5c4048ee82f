package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// entry is a file of an archive under test.
type entry struct{ name, text string }

func zipped(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(e.text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(e.text))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readPackage(t testing.TB, name string, content []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := ReadPackage(path)
	dir := filepath.Dir(path) + "/"
	if f != nil {
		f.Name = strings.TrimPrefix(f.Name, dir)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.File = strings.TrimPrefix(e.File, dir)
	}
	return f, err
}

// TestReadPackage names packages on purpose by the wrong extension: the content counts.
func TestReadPackage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content []byte
		want    string // the file that was read
	}{
		{"flow.yaml", []byte("a: é\n"), "flow.yaml"},
		{"flow.json", []byte(`{"a": "é"}`), "flow.json"},
		{"p.zip", zipped(t, entry{"README.md", "x"}, entry{"component.yaml", "b: 1"}, entry{"pipeline.yaml", "a: é\n"}), "p.zip!pipeline.yaml"},
		{"p.yaml", zipped(t, entry{"other.yml", "a: é\n"}, entry{"second.yaml", "b: 1"}), "p.yaml!other.yml"},
		{"p.zip", zipped(t, entry{"dir/", ""}, entry{"dir/notes.txt", "x"}, entry{"dir/flow.json", `{"a": "é"}`}), "p.zip!dir/flow.json"},
		{"p.zip", zipped(t, entry{"__MACOSX/._flow.yaml", "\x00"}, entry{"flow.yaml", "a: é\n"}), "p.zip!flow.yaml"},
		{"p.zip", zipped(t, entry{"../../up.yaml", "a: é\n"}), "p.zip!../../up.yaml"},
		{"p.zip", gzipped(t, tarred(t, entry{"component.yaml", "b: 1"}, entry{"./pipeline.yaml", "a: é\n"}, entry{"z.yaml", "b: 1"})), "p.zip!pipeline.yaml"},
		{"p.tar.gz", gzipped(t, tarred(t, entry{"dir/", ""}, entry{"dir/flow.yaml", "a: é\n"})), "p.tar.gz!dir/flow.yaml"},
		{"p.tar", tarred(t, entry{"pipeline.yaml", "a: é\n"}), "p.tar!pipeline.yaml"},
		{"flow.yaml.gz", gzipped(t, []byte("a: é\n")), "flow.yaml.gz!flow.yaml"},
		{"flow.yaml.gz", gzipped(t, []byte("a: é\n"+strings.Repeat("# long\n", 1000))), "flow.yaml.gz!flow.yaml"},
	} {
		f, err := readPackage(t, tt.name, tt.content)
		if err != nil || f.Name != tt.want || !strings.Contains(string(f.Text), "é") {
			t.Errorf("%s: %+v, %v; want %s", tt.name, f, err, tt.want)
		}
	}
}

func TestReadPackagePosition(t *testing.T) {
	f, err := readPackage(t, "p.zip", zipped(t, entry{"pipeline.yaml", "a: 1\nb: [\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Documents(); err == nil || !strings.HasPrefix(err.Error(), "p.zip!pipeline.yaml:2: not valid YAML") {
		t.Errorf("%v, want the place in the packed file", err)
	}
}

func TestReadPackageRefuses(t *testing.T) {
	sound := zipped(t, entry{"pipeline.yaml", strings.Repeat("a: 1\n", 1000)})
	locked := bytes.Clone(sound)
	locked[bytes.Index(locked, []byte("PK\x01\x02"))+8] |= 1 // the flag in the directory
	var many []entry
	for range maxEntries + 1 {
		many = append(many, entry{"x", ""})
	}
	for _, tt := range []struct {
		name, file, msg, mend string
		content               []byte
	}{
		{"empty zip", "p.x", "holds no YAML file", "pack the compiled pipeline as pipeline.yaml", zipped(t)},
		{"zip without YAML", "p.x", "holds no YAML file", "pack the compiled pipeline", zipped(t, entry{"a.txt", "a: 1"})},
		{"zip with several", "p.x", "holds 2 files that may be the pipeline", "a.json, b.yaml", zipped(t, entry{"a.json", "{}"}, entry{"b.yaml", "b: 1"})},
		{"zip of an empty file", "p.x!pipeline.yaml", "is empty", "", zipped(t, entry{"pipeline.yaml", " \n"})},
		{"zip of a binary", "p.x!pipeline.yaml", "is not text: byte 1 is 0x00", "", zipped(t, entry{"pipeline.yaml", "a\x00"})},
		{"cut zip", "p.x", "is no sound zip file: zip: not a valid zip file", "pack the pipeline again", sound[:len(sound)-30]},
		{"locked zip", "p.x!pipeline.yaml", "is encrypted", "without a password", locked},
		{"crowded zip", "p.x", "holds more than 10000 files", "only the compiled pipeline", zipped(t, many...)},
		{"crowded tar", "p.x", "holds more than 10000 files", "only the compiled pipeline", gzipped(t, tarred(t, many...))},
		{"a name that drives a terminal", "p.x!\u00a0 [31mp.yaml", "is empty", "", zipped(t, entry{"\u00a0\x1b[31mp.yaml", ""})},
		{"empty gzip", "p.x!p.x", "is empty", "", gzipped(t, nil)},
		{"half a header", "p.x", "is no sound gzip file: unexpected EOF", "pack the pipeline again", []byte("\x1f\x8b")},
		{"cut tar.gz", "p.x", "is no sound tar.gz file: unexpected EOF", "pack the pipeline again", cut(gzipped(t, tarred(t, entry{"pipeline.yaml", randomish()})))},
		{"tar.gz without YAML", "p.x", "holds no YAML file", "pack the compiled pipeline", gzipped(t, tarred(t, entry{"a.foo", "a: 1"}))},
	} {
		f, err := readPackage(t, "p.x", tt.content)
		var e *Error
		if !errors.As(err, &e) || e.File != tt.file || !strings.Contains(e.Msg, tt.msg) || !strings.Contains(e.Mend, tt.mend) || (e.Mend == "") != (tt.mend == "") {
			t.Errorf("%s: %v, %v; want %s: %s (%s)", tt.name, f, err, tt.file, tt.msg, tt.mend)
		}
	}
}

func cut(b []byte) []byte { return b[:len(b)/2] }

// randomish is text that does not compress to nothing.
func randomish() string {
	var b strings.Builder
	for i := range 20_000 {
		b.WriteByte(byte('a' + i*i*7919%101%26))
	}
	return b.String()
}

// TestPackageBombs asserts that what a small file unpacks to costs bounded memory.
func TestPackageBombs(t *testing.T) {
	small := limits{file: 1 << 20, unpacked: 4 << 20}
	big := func(mib int) string { return strings.Repeat(strings.Repeat("a", 1023)+"\n", mib<<10) }
	for _, tt := range []struct {
		name, file, msg string
		content         []byte
	}{
		{"zip", "p.x!pipeline.yaml", "more than the 1 MiB", zipped(t, entry{"pipeline.yaml", big(2)})},
		{"gzip", "p.x!p.x", "more than the 1 MiB", gzipped(t, []byte(big(2)))},
		{"tar.gz", "p.x!pipeline.yaml", "more than the 1 MiB", gzipped(t, tarred(t, entry{"pipeline.yaml", big(2)}))},
		{"tar.gz beside", "p.x", "unpacks to more than 4 MiB", gzipped(t, tarred(t, entry{"pipeline.yaml", "a: 1"}, entry{"data.bin", big(6)}))},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := small.unpack("p.x", tt.content)
		runtime.ReadMemStats(&after)
		var e *Error
		if !errors.As(err, &e) || e.File != tt.file || !strings.Contains(e.Msg, tt.msg) {
			t.Errorf("%s: %v; want %s: %s", tt.name, err, tt.file, tt.msg)
		}
		if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > 8 {
			t.Errorf("%s: %d MiB were allocated", tt.name, got)
		}
	}
}

// FuzzReadPackage asserts that whatever claims to be a package is read or refused
// by name, in bounded time.
func FuzzReadPackage(f *testing.F) {
	for _, content := range [][]byte{
		[]byte("a: 1\n"), zipped(f), zipped(f, entry{"pipeline.yaml", "a: 1"}, entry{"x", "y"}),
		gzipped(f, []byte("a: 1\n")), gzipped(f, tarred(f, entry{"pipeline.yaml", "a: 1"})), tarred(f, entry{"a.json", "{}"}), []byte("\x1f\x8b\x08"), []byte("PK\x03\x04"),
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		start := time.Now()
		file, err := usual.unpack("p.x", content)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("%d bytes took %s", len(content), took)
		}
		checkError(t, nil, err)
		if err == nil && (len(file.Text) == 0 || !strings.HasPrefix(file.Name, "p.x")) {
			t.Fatalf("read %+v without text or name", file)
		}
	})
}
