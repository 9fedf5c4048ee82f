package runnertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

func testStreams(t *testing.T, s *Subject) {
	p := s.pod(t, "echo to out; echo to err >&2; echo more; printf 'no newline'")
	before := time.Now().Add(-time.Second)
	_, sink := s.run(t, p)
	if out := sink.text(runner.Stdout); out != "to out\nmore\nno newline\n" {
		t.Errorf("stdout %q", out)
	}
	if errs := sink.text(runner.Stderr); errs != "to err\n" {
		t.Errorf("stderr %q", errs)
	}
	for _, l := range sink.Lines {
		if l.Container != "main" || l.Time.Before(before) {
			t.Errorf("line %+v", l)
		}
	}
}

func testBinary(t *testing.T, s *Subject) {
	var want, script strings.Builder
	for i := range 256 {
		if i != '\n' {
			want.WriteByte(byte(i))
			fmt.Fprintf(&script, `\%03o`, i)
		}
	}
	_, sink := s.run(t, s.pod(t, "printf '"+script.String()+`\n\377\376'`))
	if got := sink.text(""); got != want.String()+"\n\xff\xfe\n" {
		t.Errorf("%q", got)
	}
}

func testLongLine(t *testing.T, s *Subject) {
	lengths := []int{16383, 16384, 16385, 40_000, 200_000}
	script := ""
	for _, n := range lengths {
		script += fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo; echo short; ", n)
	}
	_, sink := s.run(t, s.pod(t, script))
	for i, n := range lengths {
		if len(sink.Lines) <= 2*i+1 {
			t.Fatalf("%d lines", len(sink.Lines))
		}
		if long, short := sink.Lines[2*i], sink.Lines[2*i+1]; len(long.Text) != n || long.Partial || string(short.Text) != "short" {
			t.Errorf("a line of %d bytes came as %d bytes (partial: %v), then %.20q", n, len(long.Text), long.Partial, short.Text)
		}
	}
}

func testHundredMegabytes(t *testing.T, s *Subject) {
	const lines, width = 1_000_000, 99
	line := strings.Repeat("0123456789", 10)[:width]
	p := s.pod(t, fmt.Sprintf("yes %s | head -n %d", line, lines))
	exit, sink := s.run(t, p)
	if !exit.OK() || sink.Count != lines || sink.Bytes != lines*width {
		t.Errorf("%+v: %d lines, %d bytes", exit, sink.Count, sink.Bytes)
	}
}

func testLogCursor(t *testing.T, s *Subject) {
	p := s.pod(t, "for i in 1 2 3 4 5; do echo $i; sleep 0.01; done")
	_, sink := s.run(t, p)
	lines := func(o runner.LogOptions) (got string) {
		for l, err := range s.Logs(context60(t), p.Name, o) {
			if err != nil {
				t.Fatal(err)
			}
			got += string(l.Text)
		}
		return got
	}
	for _, c := range []struct {
		options runner.LogOptions
		want    string
	}{
		{runner.LogOptions{}, "12345"},
		{runner.LogOptions{Follow: true}, "12345"},
		{runner.LogOptions{Tail: 2}, "45"},
		{runner.LogOptions{Since: sink.Lines[1].Time}, "345"},
		{runner.LogOptions{Since: sink.Lines[4].Time}, ""},
		{runner.LogOptions{Container: "main", Since: sink.Lines[2].Time, Follow: true}, "45"},
	} {
		if got := lines(c.options); got != c.want {
			t.Errorf("%+v: %q, want %q", c.options, got, c.want)
		}
	}
}

func testEnvironment(t *testing.T, s *Subject) {
	p := s.pod(t, `echo "$A|$B|$C"; printf '%s\n' "$0" "$@"`)
	c := &p.Containers[0]
	c.Env = []runner.EnvVar{{Name: "A", Value: "one two"}, {Name: "B", Value: "$A=\"'"}, {Name: "C", Value: "ü\n", Secret: true}}
	c.Args = append(c.Args, "zero", "a b", "", "*")
	_, sink := s.run(t, p)
	if got, want := sink.text(""), "one two|$A=\"'|ü\n\nzero\na b\n\n*\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func testWorkDirAndUser(t *testing.T, s *Subject) {
	p := s.pod(t, `pwd; id -u; echo hello > file && cat file`)
	at := s.path(p, "w")
	p = withScratch(p, at)
	c := &p.Containers[0]
	c.WorkDir = at
	if !s.Features().Isolation {
		_, sink := s.run(t, p)
		if got := sink.text(runner.Stdout); !strings.HasSuffix(got, "hello\n") {
			t.Errorf("%q", got)
		}
		other := s.pod(t, "true")
		other.Containers[0].User = "12345"
		s.refused(t, other)
		return
	}
	c.User = s.User
	_, sink := s.run(t, p)
	if got, want := sink.text(""), at+"\n"+s.User+"\nhello\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
