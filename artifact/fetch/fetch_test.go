package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wherry-ml/wherry/artifact/fetch"
)

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/data.csv", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "1,2,3\n") })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/old", http.RedirectHandler("/data.csv", http.StatusMovedPermanently))
	mux.HandleFunc("/mine", func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "me" || pass != "hush" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "mine")
	})
	mux.HandleFunc("/packed", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "encoding: ", r.Header.Get("Accept-Encoding"))
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")

	check(t, s.URL+"/data.csv", map[string]string{".": "1,2,3\n"}, "")
	check(t, s.URL+"/data.csv?signature=abc", map[string]string{".": "1,2,3\n"}, "")
	check(t, s.URL+"/old", map[string]string{".": "1,2,3\n"}, "")
	check(t, s.URL+"/empty", map[string]string{".": ""}, "")
	check(t, s.URL+"/packed", map[string]string{".": "encoding: identity"}, "")
	check(t, "http://me:hush@"+host+"/mine", map[string]string{".": "mine"}, "")
	check(t, "http://me:wrong@"+host+"/mine?key=secret", nil, "import http://"+host+"/mine: access denied (401 Unauthorized); try: ")
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine 127.0.0.1 login me\n password hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, s.URL+"/mine", nil, "access denied (401 Unauthorized); try: put \"machine HOST login USER password PASSWORD\" into ~/.netrc")
	t.Setenv("NETRC", netrc)
	check(t, s.URL+"/mine", map[string]string{".": "mine"}, "")
	check(t, "http://me:wrong@"+host+"/mine", nil, "access denied")
	check(t, "http://"+strings.Replace(host, "127.0.0.1", "localhost", 1)+"/mine", nil, "access denied")
	check(t, s.URL+"/none", nil, "import "+s.URL+"/none: it is not there (404 Not Found); try: check the URI")
	check(t, "http:///x", nil, "it is no URL; try: write https://HOST/PATH")
	check(t, "http://no-such-host.invalid/x", nil, `there is no host "no-such-host.invalid"; try: `)
	check(t, "ftp://"+host+"/x", nil, "import ftp://"+host+"/x: ftp:// is none of the schemes that can be fetched; try: name a path, or a URI of http, https, s3")

	tls := httptest.NewTLSServer(mux)
	defer tls.Close()
	check(t, tls.URL+"/data.csv", nil, "certificate signed by unknown authority; try: where a company's own authority signs, set SSL_CERT_FILE")
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	s.Close()
	check(t, s.URL+"/x", nil, "nothing answers at "+strings.TrimPrefix(s.URL, "http://")+": connection refused; try: check the URI, the proxy")
}

// A connection that breaks is taken up where it broke, where the server can do that.
func TestHTTPResumes(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	for _, ranges := range []bool{true, false} {
		var calls, sent atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from := 0
			if ranges {
				w.Header().Set("Accept-Ranges", "bytes")
				w.Header().Set("ETag", `"v1"`)
				if r.Header.Get("If-Range") == `"v1"` {
					fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
				}
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
			if from > 0 {
				w.WriteHeader(http.StatusPartialContent)
			}
			part := body[from:]
			if calls.Add(1) < 4 {
				part = part[:len(part)/3]
			}
			n, _ := io.WriteString(w, part)
			sent.Add(int64(n))
			if len(part) < len(body)-from {
				panic(http.ErrAbortHandler)
			}
		}))
		got, err := fetched(t, s.URL+"/big")
		s.Close()
		if err != nil || got["."] != body {
			t.Errorf("ranges %v: %d bytes, %v", ranges, len(got["."]), err)
		}
		if more := sent.Load() > int64(len(body)*3/2); more == ranges { // some that was sent did not arrive
			t.Errorf("ranges %v: %d bytes were sent for %d", ranges, sent.Load(), len(body))
		}
	}
}

// A file that changes while it is being fetched is fetched anew, never mixed.
func TestHTTPChanges(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Accept-Ranges", "bytes")
		if calls.Add(1) == 1 {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Length", "400000")
			io.WriteString(w, strings.Repeat("1", 300_000))
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("ETag", `"v2"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.Repeat("2", 400_000)))
	}))
	defer s.Close()
	if got, err := fetched(t, s.URL); err != nil || got["."] != strings.Repeat("2", 400_000) {
		t.Errorf("%d bytes, %v", len(got["."]), err)
	}
}

func TestHTTPTriesAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code, times int
		problem     string
	}{
		{http.StatusServiceUnavailable, 3, ""},
		{http.StatusTooManyRequests, 1, ""},
		{http.StatusBadGateway, 1000, "the server answered 502 Bad Gateway; try: try again later; it was tried several times"},
		{http.StatusForbidden, 1, "access denied (403 Forbidden)"},
		{http.StatusTeapot, 1, "the server answered 418 I'm a teapot"},
	} {
		var calls atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1) <= int64(tt.times) {
				w.WriteHeader(tt.code)
				return
			}
			fmt.Fprint(w, "at last")
		}))
		check(t, s.URL, map[string]string{".": "at last"}, tt.problem)
		s.Close()
	}
}

func TestCancelAndProgress(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		io.WriteString(w, strings.Repeat("x", 500_000))
		w.(http.Flusher).Flush()
		<-stop
	}))
	defer s.Close()
	defer close(stop)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	because := errors.New("because")
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = fetch.Fetch(ctx, s.URL, root, "got", fetch.Options{Progress: func(done, total int64) {
		if done <= 0 || total != 1_000_000 {
			t.Errorf("progress %d of %d", done, total)
		}
		cancel(because)
	}})
	if !errors.Is(err, because) {
		t.Error(err)
	}
}
