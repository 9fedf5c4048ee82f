package metrics

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParsePage(t *testing.T) {
	tests := []struct {
		line      string
		inSeconds bool
		want      string
	}{
		{`loss 0.5`, false, `loss 0.5`},
		{"loss\t+Inf", false, `loss +Inf`},
		{`loss{} 1e3 1700000000250`, false, `loss 1000 2023-11-14T22:13:20.25Z`},
		{`loss 1 1700000000.25`, true, `loss 1 2023-11-14T22:13:20.25Z`},
		{`loss{a="1",b="x y\"\\\n}",} NaN`, false, `loss{a="1",b="x y\"\\\n}"} NaN`},
		{`loss{ a = "1" , b="2"} 3`, false, `loss{a="1",b="2"} 3`},
		{`loss{a="1"} 2 # {trace="x"} 5 1.5`, true, `loss{a="1"} 2`},
		{`{"the.loss",a="1"} 2`, false, `the.loss{a="1"} 2`},
		{`loss`, false, `bad`},
		{`loss x`, false, `bad`},
		{`loss{a="1" 2`, false, `bad`},
		{`loss{a=1} 2`, false, `bad`},
		{`loss{="1"} 2`, false, `bad`},
		{`loss{a="1\`, false, `bad`},
		{`loss 1 noon`, false, `bad`},
		{`# loss 1`, false, ``},
	}
	for _, tt := range tests {
		samples, bad := parsePage([]byte("\n"+tt.line+"\r\n"), tt.inSeconds)
		got := ""
		if bad > 0 {
			got = "bad"
		}
		for _, s := range samples {
			got += s.series() + " " + Format(s.value)
			if !s.stamp.IsZero() {
				got += " " + s.stamp.Format(time.RFC3339Nano)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.line, got, tt.want)
		}
	}
}

// The pages are of the Python client: see testdata/make.py.
func TestPagesOfARealClient(t *testing.T) {
	for _, name := range []string{"page.txt", "openmetrics.txt"} {
		samples, bad := parsePage(readTestdata(t, name), name == "openmetrics.txt")
		var got []string
		for _, s := range samples {
			if !strings.HasSuffix(s.name, "_created") {
				got = append(got, s.series()+" "+Format(s.value))
			}
		}
		want := []string{`accuracy{split="train"} 0.9`, `accuracy{split="te\"s\\t\n"} 0.8`, "loss NaN", "best -Inf", "batches_total 12",
			`batch_seconds_bucket{le="0.1"} 0`, `batch_seconds_bucket{le="1.0"} 1`, `batch_seconds_bucket{le="+Inf"} 1`, "batch_seconds_count 1", "batch_seconds_sum 0.5"}
		if diff := cmp.Diff(want, got); diff != "" || bad != 0 {
			t.Errorf("%s: %d bad lines, %s", name, bad, diff)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(readTestdata(f, "page.txt"))
	f.Add([]byte(`{"a b",c="d\\"} 1 2 # {} 3`))
	f.Fuzz(func(t *testing.T, page []byte) {
		samples, _ := parsePage(page, true)
		for _, s := range samples { // what was read can be named in an experiment
			again, err := parseSelector(s.series())
			if err == nil && again.name == s.name && !s.has(again) {
				t.Fatalf("%q is read as %q", s.series(), again.series())
			}
		}
	})
}

// scrapeOnce takes the pages one after another, as if each were a scrape.
func scrapeOnce(t *testing.T, g *gather, last map[string]float64, pages ...string) {
	t.Helper()
	s := &scraper{c: g.Collector, o: ScrapeOptions{Path: "/metrics", Last: last}}
	for _, name := range g.names {
		want, err := parseSelector(name)
		if err != nil {
			t.Fatal(err)
		}
		s.wants = append(s.wants, want)
	}
	s.last = make([]*sample, len(s.wants))
	for _, page := range pages {
		s.page([]byte(page), false, noon)
	}
}

func TestWhichSeriesCounts(t *testing.T) {
	tests := []struct {
		name, metric string
		pages        []string
		want         string
	}{
		{"changes only", "loss", []string{"loss 1\n", "loss 1\n", "loss 2\n", "loss 1\n"}, "loss 1\nloss 2\nloss 1\n"},
		{"NaN changes once", "loss", []string{"loss NaN\n", "loss NaN\n"}, "loss NaN\n"},
		{"the same at another time", "loss", []string{"loss 1 1000\n", "loss 1 1000\n", "loss 1 2000\n"}, "loss 1 at 1970-01-01T00:00:01Z\nloss 1 at 1970-01-01T00:00:02Z\n"},
		{"the same with other labels", "loss", []string{"loss{epoch=\"1\"} 1\n", "loss{epoch=\"2\"} 1\n"}, "loss 1\nloss 1\n"},
		{"the only one", "loss", []string{"loss{a=\"1\"} 1\nlosses 3\n"}, "loss 1\n"},
		{"the one without labels", "loss", []string{"loss{a=\"1\"} 1\nloss 2\nloss{a=\"2\"} 3\n"}, "loss 2\n"},
		{"by its labels", `loss{a="2"}`, []string{"loss{a=\"1\"} 1\nloss{b=\"x\",a=\"2\"} 3\n"}, "loss{a=\"2\"} 3\n"},
		{"several", "loss", []string{"loss{a=\"1\"} 1\nloss{a=\"2\"} 3\n"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := collect(tt.metric)
			scrapeOnce(t, g, nil, tt.pages...)
			if diff := cmp.Diff(tt.want, g.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
	g := collect("loss")
	scrapeOnce(t, g, nil, "python_info 1\nloss{a=\"1\"} 1\nloss{a=\"2\"} 3\nbad\n")
	e := g.Unavailable("loss")
	want := `metric "loss" never came; seen instead: loss{a="1"}, loss{a="2"} (lines of /metrics that are not of Prometheus' text format: 1; ` +
		`loss is 2 series, of which one must be named with its labels)`
	if e.Error() != want || e.Hint() != `objectiveMetricName: 'loss{a="1"}'` {
		t.Errorf("got\n%v\n%s\nwant\n%s", e, e.Hint(), want)
	}
}

func TestScrapeAfterACrash(t *testing.T) {
	g := collect("loss", "accuracy")
	scrapeOnce(t, g, map[string]float64{"loss": 1, "accuracy": 1}, "loss 1\naccuracy 2\n", "loss 3\n", "loss 1\n")
	if got, want := g.String(), "accuracy 2\nloss 3\nloss 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScrape(t *testing.T) {
	var hits atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stats" || r.Header.Get("X-Key") != "1" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "loss %d\n", hits.Add(1))
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []float64
	c := NewCollector([]string{"loss"}, func(b []Observation) {
		if got = append(got, b[0].Value); len(got) == 3 {
			cancel()
		}
	})
	dials := 0
	dial := func(ctx context.Context, port int) (net.Conn, error) {
		if dials++; dials < 3 {
			return nil, fmt.Errorf("nobody listens on %d", port) // the trial is only starting
		}
		return net.Dial("tcp", server.Listener.Addr().String())
	}
	o := ScrapeOptions{Dial: dial, Port: 9000, Path: "stats", Header: http.Header{"X-Key": {"1"}}, Interval: time.Millisecond}
	if err := Scrape(ctx, c, o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
	if p := c.Problems(); len(p) > 0 {
		t.Errorf("it succeeded in the end, and yet: %v", p)
	}
}

func TestScrapeSaysWhyItNeverSucceeded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	c := NewCollector([]string{"loss"}, nil)
	dial := func(context.Context, int) (net.Conn, error) {
		if tries++; tries == 2 {
			cancel()
		}
		return nil, fmt.Errorf("nobody listens")
	}
	if err := Scrape(ctx, c, ScrapeOptions{Dial: dial, Interval: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if p := c.Problems(); len(p) != 1 || !strings.HasPrefix(p[0], "port 8080: ") || !strings.HasSuffix(p[0], "nobody listens") {
		t.Errorf("%q", p)
	}
	err := Scrape(t.Context(), NewCollector([]string{`loss{a=1}`}, nil), ScrapeOptions{})
	if err == nil || err.Error() != `metric "loss{a=1}" is not of the form name{label="value"}` {
		t.Error(err)
	}
}
