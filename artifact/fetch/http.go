package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// fetchHTTP fetches one file by HTTP.
func (j *job) fetchHTTP(ctx context.Context) error {
	j.advice = advice{
		missing: "check the URI",
		denied:  "put \"machine HOST login USER password PASSWORD\" into ~/.netrc, give a signed URI, or download it and import its path",
		away:    "check the URI, the proxy (HTTPS_PROXY, NO_PROXY) and that this machine is online",
	}
	u, err := url.Parse(j.uri)
	if err != nil || u.Host == "" {
		return j.failed("it is no URL", "write https://HOST/PATH", nil)
	}
	src := &webSource{job: j, client: &http.Client{Transport: j.web}}
	return j.files(ctx, src, []file{{key: j.uri, size: -1}})
}

// webSource reads files whose keys are URLs.
type webSource struct {
	*job
	client *http.Client
}

func (s *webSource) open(ctx context.Context, x *file, offset int64) (io.ReadCloser, int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.key, nil)
	if err != nil {
		return nil, 0, s.failed("it is no URL", "write https://HOST/PATH", nil)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if login, password, ok := s.netrc(req.URL.Hostname()); ok && req.URL.User == nil {
		req.SetBasicAuth(login, password) // not sent on to another host
	}
	if offset > 0 && x.version != "" {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		req.Header.Set("If-Range", x.version)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		x.size, x.version = resp.ContentLength, validator(resp.Header)
		return resp.Body, 0, nil
	case http.StatusPartialContent:
		if strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
			return resp.Body, offset, nil
		}
	}
	defer resp.Body.Close()
	return nil, 0, s.status(resp.StatusCode, "")
}

// validator is what a later request for the rest must name; "" where only the whole
// can be asked for.
func validator(h http.Header) string {
	if h.Get("Accept-Ranges") != "bytes" {
		return ""
	}
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}
