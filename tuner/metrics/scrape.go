package metrics

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Katib's defaults of httpGet (pkg/apis/controller/common/v1beta1/common_types.go).
const (
	DefaultPrometheusPort = 8080
	DefaultPrometheusPath = "/metrics"
)

const (
	maxPage        = 16 << 20 // bytes
	scrapeTimeout  = 5 * time.Second
	scrapeInterval = time.Second
)

// ScrapeOptions say where a trial shows its metrics.
type ScrapeOptions struct {
	// Dial connects to a port of the trial's container.
	Dial     func(ctx context.Context, port int) (net.Conn, error)
	Port     int           // 0: 8080
	Path     string        // empty: /metrics
	Header   http.Header   // httpGet.httpHeaders
	Interval time.Duration // between scrapes; 0: 1 s
	// Last has, after a crash, the latest value on record of each metric: a first
	// scrape that finds it again found nothing new.
	Last map[string]float64
}

// Scrape reads the Prometheus page of a trial again and again, until ctx ends,
// and then returns nil. It is what Katib's collector PrometheusMetric names but
// leaves to a container of one's own. An error says that a metric's name is none.
//
// A value counts when it, or the time that the page gives for it, differs from
// the scrape before: a page says what is, not what happened, and a value that is
// read ten times is not ten steps. So the last value of a trial that ends between
// two scrapes is lost, and of two changes between them the first.
//
// A metric's name in the experiment may have labels, accuracy{split="test"}: then
// series that have these count. A name without labels means the series without
// labels, else the only one of that name; where there are several, none counts,
// and UnavailableError names them.
//
// A page that can't be had is tried again at the next scrape; only if that never
// succeeds is it a problem. A page larger than 16 MiB can't be had.
func Scrape(ctx context.Context, c *Collector, o ScrapeOptions) error {
	s := &scraper{c: c, o: o}
	for _, name := range c.names {
		want, err := parseSelector(name)
		if err != nil {
			return err
		}
		s.wants = append(s.wants, want)
	}
	s.last = make([]*sample, len(s.wants))
	if s.o.Port == 0 {
		s.o.Port = DefaultPrometheusPort
	}
	if s.o.Path == "" {
		s.o.Path = DefaultPrometheusPath
	}
	if s.o.Interval <= 0 {
		s.o.Interval = scrapeInterval
	}
	s.run(ctx)
	return nil
}

type scraper struct {
	c     *Collector
	o     ScrapeOptions
	wants []sample  // by index of c.names; value and stamp mean nothing
	last  []*sample // what each was at the scrape before
}

func (s *scraper) run(ctx context.Context) {
	transport := &http.Transport{ // without a proxy: there is none on the way to a container
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.o.Dial(ctx, s.o.Port) },
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: scrapeTimeout}
	ticker := time.NewTicker(s.o.Interval)
	defer ticker.Stop()
	var failure error
	succeeded := false
	for {
		if err := s.scrape(ctx, client); err == nil {
			succeeded = true
		} else if ctx.Err() == nil {
			failure = err
		}
		select {
		case <-ctx.Done():
			if !succeeded && failure != nil {
				s.c.problem("port %d: %v", s.o.Port, failure)
			}
			return
		case <-ticker.C:
		}
	}
}

// scrape reads the page once.
func (s *scraper) scrape(ctx context.Context, client *http.Client) error {
	host := net.JoinHostPort("localhost", strconv.Itoa(s.o.Port))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/"+strings.TrimPrefix(s.o.Path, "/"), nil)
	if err != nil {
		return err
	}
	if s.o.Header != nil {
		request.Header = s.o.Header.Clone()
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4,*/*;q=0.1")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", s.o.Path, response.Status)
	}
	page, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err != nil {
		return fmt.Errorf("GET %s: %w", s.o.Path, err)
	}
	if len(page) > maxPage {
		return fmt.Errorf("GET %s: the page is larger than %d MiB", s.o.Path, maxPage>>20)
	}
	s.page(page, strings.Contains(response.Header.Get("Content-Type"), "openmetrics"), time.Now())
	return nil
}

// page takes what has changed on a page.
func (s *scraper) page(page []byte, inSeconds bool, now time.Time) {
	samples, bad := parsePage(page, inSeconds)
	if bad > 0 {
		s.c.problem("lines of %s that are not of Prometheus' text format: %d", s.o.Path, bad)
	}
	used := make([]bool, len(samples))
	var batch []Observation
	for i, want := range s.wants {
		at := s.choose(want, samples)
		if at < 0 {
			continue
		}
		used[at] = true
		found := samples[at]
		if !s.changed(i, found) {
			continue
		}
		o := Observation{Metric: s.c.names[i], Value: found.value, Time: found.stamp, Step: -1}
		if o.Time.IsZero() {
			o.Time = now
		}
		batch = append(batch, o)
	}
	for i, other := range samples {
		if !used[i] && !runtimeMetric(other.name) {
			s.c.see([]byte(other.series()), false)
		}
	}
	s.c.emit("", 0, batch)
}

// changed says whether the metric of index i is another than at the scrape before,
// and remembers it.
func (s *scraper) changed(i int, found sample) bool {
	last := s.last[i]
	s.last[i] = &found
	if last != nil {
		return !same(*last, found)
	}
	v, ok := s.o.Last[s.c.names[i]]
	return !ok || math.Float64bits(v) != math.Float64bits(found.value)
}

// choose returns the index of the sample that want means, or -1.
func (s *scraper) choose(want sample, samples []sample) int {
	var found []int
	for i, sample := range samples {
		if sample.has(want) {
			if len(sample.labels) == len(want.labels) {
				return i
			}
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return -1
	case 1:
		return found[0]
	}
	s.c.problem("%s is %d series, of which one must be named with its labels", want.series(), len(found))
	return -1
}

func same(a, b sample) bool {
	return math.Float64bits(a.value) == math.Float64bits(b.value) && a.stamp.Equal(b.stamp) && slices.Equal(a.labels, b.labels)
}

// runtimeMetric says whether a client library adds the metric by itself.
func runtimeMetric(name string) bool {
	for _, prefix := range []string{"python_", "process_", "go_", "promhttp_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
