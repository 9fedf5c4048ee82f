package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkChain: the time per step of a chain of 20 trivial container steps,
// as a whole process, at most 1.15 times the same five calls by hand.
func BenchmarkChain(b *testing.B) {
	const n, limit = 20, 1.15
	e := dial(b)
	file, home := write(b, chain(n, e.image)), b.TempDir()
	run := func() float64 {
		start := time.Now()
		succeed(b, home, "run", file, "--no-cache", "-o", "json")
		return time.Since(start).Seconds() / n
	}
	var calls [len(callNames)][]float64
	raw := func() float64 {
		start := time.Now()
		for range n {
			for i, took := range e.step(b) {
				calls[i] = append(calls[i], took.Seconds()*1e3)
			}
		}
		return time.Since(start).Seconds() / n
	}
	run() // makes the database, warms the engine
	for b.Loop() {
		ours, them, ratio, spread := paired(b, run, raw)
		b.ReportMetric(ours*1e3, "ms/step")
		b.ReportMetric(them*1e3, "raw-ms/step")
		b.ReportMetric(ratio, "ratio")
		check(b, ratio <= limit, row{
			what: fmt.Sprintf("chain of %d container steps, per step", n), figure: fmt.Sprintf("%.2fx (%s)", ratio, spread),
			limit: "1.15x", floor: fmt.Sprintf("%.0f ms by hand, %.0f ms here", them*1e3, ours*1e3),
		})
		var parts []string
		for i, name := range callNames {
			parts = append(parts, fmt.Sprintf("%s %.0f", name, median(calls[i])))
		}
		floor("docker's own calls, ms", strings.Join(parts, ", "))
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFanOut: 40 trivial container steps, 8 at once: at least 0.95 times the
// steps a second of the same calls by hand, 8 at once.
func BenchmarkFanOut(b *testing.B) {
	const n, parallel, limit = 40, 8, 0.95
	e := dial(b)
	file, home := write(b, fanOut(n, e.image)), b.TempDir()
	run := func() float64 {
		start := time.Now()
		succeed(b, home, "run", file, "--no-cache", "-o", "json", "--max-parallel", fmt.Sprint(parallel))
		return n / time.Since(start).Seconds()
	}
	raw := func() float64 { return sideBySide(n, parallel, func(int) { e.step(b) }) }
	run()
	for b.Loop() {
		ours, them, ratio, spread := paired(b, run, raw)
		b.ReportMetric(ours, "steps/s")
		b.ReportMetric(them, "raw-steps/s")
		b.ReportMetric(ratio, "ratio")
		check(b, ratio >= limit, row{
			what: fmt.Sprintf("fan-out of %d, %d at once, steps a second", n, parallel), figure: fmt.Sprintf("%.2fx (%s)", ratio, spread),
			limit: "0.95x", floor: fmt.Sprintf("%.1f/s by hand, %.1f/s here", them, ours),
		})
	}
	b.ReportMetric(0, "ns/op")
}

// sideBySide does n things, some at once, and returns how many a second.
func sideBySide(n, parallel int64, do func(i int)) float64 {
	start := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				do(int(i))
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}

// engine is Docker's API with nothing between: HTTP over a unix socket, its
// connections kept alive.
type engine struct {
	client *http.Client
	image  string
}

// api is the oldest version that all engines we know still speak.
const api = "/v1.41"

func dial(b *testing.B) *engine {
	b.Helper()
	socket, ok := strings.CutPrefix(cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://")
	if !ok {
		skip(b, "DOCKER_HOST is no unix socket")
	}
	e := &engine{image: cmp.Or(os.Getenv("WHERRY_BENCH_IMAGE"), "python:3.11-slim")}
	e.client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	b.Cleanup(e.client.CloseIdleConnections)
	if err := e.call("GET", "/images/"+e.image+"/json", nil, nil); err != nil {
		skip(b, "%v (scripts/engine.sh starts an engine, scripts/base-image.sh makes the image)", err)
	}
	return e
}

var callNames = [...]string{"create", "start", "wait", "logs", "remove"}

// step makes the five calls of one trivial step, and says what each took.
func (e *engine) step(b *testing.B) [len(callNames)]time.Duration {
	return e.run(b, map[string]any{"Image": e.image, "Cmd": []string{"sh", "-c", "echo 1"}})
}

// run makes the five calls of a container that must exit with 0.
func (e *engine) run(b *testing.B, config map[string]any) (took [len(callNames)]time.Duration) {
	var made struct{ ID string }
	var exit struct{ StatusCode int }
	at := time.Now()
	lap := func(i int, err error) {
		if err != nil {
			b.Error(err)
		}
		took[i] = time.Since(at)
		at = time.Now()
	}
	lap(0, e.call("POST", "/containers/create", config, &made))
	c := "/containers/" + made.ID
	lap(1, e.call("POST", c+"/start", nil, nil))
	lap(2, e.call("POST", c+"/wait", nil, &exit))
	lap(3, e.call("GET", c+"/logs?stdout=1&stderr=1", nil, nil))
	lap(4, e.call("DELETE", c, nil, nil))
	if exit.StatusCode != 0 {
		b.Errorf("a container of the raw side exited with %d", exit.StatusCode)
	}
	return took
}

// call makes one call and reads its answer to the end.
func (e *engine) call(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, "http://docker"+api+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
