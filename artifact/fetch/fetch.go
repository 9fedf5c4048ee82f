package fetch

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/redact"
)

// Options are what a caller may change.
type Options struct {
	// Progress is told how many bytes have come, at most ten times a second; total
	// is 0 while it is not known. It is called by one goroutine at a time. May be nil.
	Progress func(done, total int64)
	// Getenv looks up environment variables; nil: os.Getenv. The AWS and Google
	// libraries look up their own.
	Getenv func(string) string
}

// Schemes are those that Fetch knows.
func Schemes() []string { return []string{"http", "https", "s3", "minio", "gs", "oci"} }

var hasScheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)

// SchemeOf returns the scheme of uri in lower case; "" where it has none.
func SchemeOf(uri string) string {
	if m := hasScheme.FindStringSubmatch(uri); m != nil {
		return strings.ToLower(m[1])
	}
	return ""
}

// job is one call of Fetch.
type job struct {
	uri    string
	rest   string // of the URI after its scheme
	dir    *os.Root
	name   string
	getenv func(string) string
	web    *http.Transport
	meter  *meter
	advice advice
}

// Fetch brings what uri names into dir, under name, which must not be there yet: a
// file, or a directory where uri names one. When it fails, what it has left there
// is the caller's to delete. An error is an *Error, an *UnknownSchemeError, the
// cause of ctx, or what the file system said.
func Fetch(ctx context.Context, uri string, dir *os.Root, name string, o Options) error {
	scheme := SchemeOf(uri)
	j := &job{uri: uri, dir: dir, name: name, getenv: o.Getenv, meter: newMeter(o.Progress)}
	j.rest = strings.TrimPrefix(uri[len(scheme):], "://")
	if j.getenv == nil {
		j.getenv = os.Getenv
	}
	j.web = newTransport()
	defer j.web.CloseIdleConnections()
	err := j.fetch(ctx, scheme)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (j *job) fetch(ctx context.Context, scheme string) error {
	switch scheme {
	case "http", "https":
		return j.fetchHTTP(ctx)
	case "s3", "minio":
		return j.fetchS3(ctx, scheme)
	case "gs":
		return j.fetchGS(ctx)
	case "oci":
		return j.fetchOCI(ctx)
	}
	return &UnknownSchemeError{URI: j.shown(), Scheme: scheme}
}

// stall is how long a server may send nothing.
const stall = time.Minute

// newTransport is http.DefaultTransport (proxies from the environment) with a limit
// on how long nothing may happen.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = stall
	t.MaxIdleConnsPerHost = parallel
	t.DisableCompression = true // bytes as they are stored, so that sizes and ranges are right
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return t
}

// shown is the URI without what may be a secret: a user's password, the signature
// in a query.
func (j *job) shown() string { return redact.URL(j.uri) }

// inBucket splits bucket/key, and checks the key.
func (j *job) inBucket() (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(j.rest, "/")
	if bucket == "" {
		return "", "", j.failed("it names no bucket", "write "+SchemeOf(j.uri)+"://BUCKET/KEY", nil)
	}
	if key != "" && path.Clean("/"+key) != "/"+strings.TrimSuffix(key, "/") {
		return "", "", j.failed("its key has an empty part, . or ..", "name the key as the store lists it", nil)
	}
	return bucket, key, nil
}
