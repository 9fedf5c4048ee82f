package bench

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/watch"
)

// stamped is a pipeline of one step that says when it began, in ns since 1970.
const stamped = `apiVersion: kubeflow.org/v1
kind: Pipeline
metadata: {name: watched}
spec:
  pipelineSpec:
    workflowSpec:
      entrypoint: main
      templates:
      - name: main
        dag: {tasks: [{name: step, template: step}]}
      - name: step
        container: {image: %q, command: [sh, -c, %q]}
`

// stamp reads a source, so that a save of it counts.
const stamp = "cat /src/text; date +%s%N >/out/at"

// BenchmarkWatch: from a save to the first affected container, the time beyond the
// engine's own create and start, under 100 ms; and what a watch costs while nothing
// is saved.
func BenchmarkWatch(b *testing.B) {
	const limit, saves = 100, 15
	e := dial(b)
	s := beginWatch(b, e.image, 1)
	raw := func() float64 {
		out := b.TempDir()
		start := time.Now()
		e.run(b, map[string]any{
			"Image": e.image, "Cmd": []string{"sh", "-c", stamp},
			"HostConfig": map[string]any{"Binds": []string{s.src + ":/src:ro", out + ":/out"}},
		})
		return since(b, filepath.Join(out, "at"), start)
	}
	s.save(b, 0)
	for b.Loop() {
		var own, whole []float64
		for i := range saves {
			floor, ours := raw(), s.save(b, i+1)
			whole = append(whole, ours)
			own = append(own, ours-floor)
		}
		b.ReportMetric(median(own), "own-ms")
		within(b, sampleOf(own), limit, row{
			what: "save to first affected container, own time", floor: fmt.Sprintf("20 ms of quiet; %.0f ms in all", median(whole)),
		})
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWatchSetUp: a watch of 10,000 files listens within 500 ms. The floor is to
// look at each of them once.
func BenchmarkWatchSetUp(b *testing.B) {
	const limit = 500
	dir := b.TempDir()
	writeFiles(b, dir, 10000)
	for b.Loop() {
		took := millis(b, 15, func() error {
			w := watch.New(b.Context(), []watch.Target{{Path: dir}}, watch.Options{})
			defer w.Close()
			if n := w.Files(); n != 10000 {
				return fmt.Errorf("%d files are watched", n)
			}
			return nil
		})
		look := millis(b, 15, func() error {
			return filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
				if err == nil {
					_, err = d.Info()
				}
				return err
			})
		})
		b.ReportMetric(took.median, "ms")
		within(b, took, limit, row{what: "watch of 10,000 files, set up", floor: look.String() + " to look at each"})
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWatchIdle: what a watch of 10,000 files costs while nobody saves: no CPU.
func BenchmarkWatchIdle(b *testing.B) {
	const seconds = 5
	e := dial(b)
	s := beginWatch(b, e.image, 10000)
	for b.Loop() {
		before := cpuTicks(b, s.pid)
		time.Sleep(seconds * time.Second)
		ticks := cpuTicks(b, s.pid) - before
		b.ReportMetric(float64(ticks), "ticks")
		check(b, ticks <= 1, row{
			what: "watch of 10,000 files at rest, CPU", figure: fmt.Sprintf("%d ms in %d s", ticks*10, seconds), limit: "10 ms", // a tick: the clock's own
		})
	}
	b.ReportMetric(0, "ns/op")
}

// watchSession is a `run --watch` that has run once.
type watchSession struct {
	src, out string
	pid      int
	lines    chan string // of stdout: one for each run
}

// beginWatch starts a watch of a mounted folder with this many files.
func beginWatch(b *testing.B, image string, files int) *watchSession {
	b.Helper()
	s := &watchSession{src: b.TempDir(), out: b.TempDir(), lines: make(chan string, 1000)}
	writeFiles(b, s.src, files)
	file := write(b, fmt.Sprintf(stamped, image, stamp))
	cmd, said := command(b, b.TempDir(), "run", file, "--watch", "-o", "json", "-v", s.src+":/src:ro", "-v", s.out+":/out")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.read(stdout)
	}()
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-read
		if err := cmd.Wait(); err != nil {
			b.Errorf("watch: %v\n%s", err, tail(said.String()))
		}
	})
	s.await(b)
	return s
}

// writeFiles fills a folder with so many files, one of which is text.
func writeFiles(b *testing.B, dir string, files int) {
	b.Helper()
	for i := range files {
		name := "text"
		if i > 0 {
			name = filepath.Join(fmt.Sprint(i%100), fmt.Sprint(i))
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func (s *watchSession) read(stdout io.Reader) {
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		s.lines <- line
	}
}

// await waits for the end of a run, and then until the watch is at rest.
func (s *watchSession) await(b *testing.B) {
	b.Helper()
	select {
	case line := <-s.lines:
		if !strings.Contains(line, `"SUCCEEDED"`) {
			b.Fatalf("a watched run ended with %.400s", line)
		}
	case <-time.After(time.Minute):
		b.Fatal("a watched run has not ended in a minute")
	}
	time.Sleep(300 * time.Millisecond)
}

// save saves the source as editors do, waits for the run that follows, and returns the
// ms from the save to the step's first words.
func (s *watchSession) save(b *testing.B, n int) float64 {
	b.Helper()
	aside := filepath.Join(s.src, ".text.tmp")
	if err := os.WriteFile(aside, []byte(fmt.Sprint("save ", n, time.Now().UnixNano())), 0o644); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := os.Rename(aside, filepath.Join(s.src, "text")); err != nil {
		b.Fatal(err)
	}
	s.await(b)
	return since(b, filepath.Join(s.out, "at"), start)
}

// since is the ms from start to the moment that a step wrote down.
func since(b *testing.B, file string, start time.Time) float64 {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return float64(ns-start.UnixNano()) / 1e6
}

// cpuTicks is what a process has used of the CPU, in hundredths of a second.
func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		skip(b, "no /proc here")
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		b.Fatalf("/proc/%d/stat: %q", pid, text)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc/%d/stat: %q", pid, text)
	}
	return user + system
}
