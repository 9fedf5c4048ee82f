package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// fetchGS fetches from Google Cloud Storage by its JSON API, with the credentials
// that Google's own tools use by default. STORAGE_EMULATOR_HOST names another
// server, which wants none.
func (j *job) fetchGS(ctx context.Context) error {
	name, key, err := j.inBucket()
	if err != nil {
		return err
	}
	j.advice = advice{
		missing: "check the bucket and the key",
		denied:  "check the credentials: GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
		away:    "check that this machine is online",
	}
	b := &gsBucket{job: j, base: "https://storage.googleapis.com", name: name, client: &http.Client{Transport: j.web}}
	if host := j.getenv("STORAGE_EMULATOR_HOST"); host != "" {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		b.base = strings.TrimSuffix(host, "/")
		b.advice.away = "check STORAGE_EMULATOR_HOST, and that the server runs"
	} else {
		b.login(ctx)
	}
	return j.fetchBucket(ctx, b, key)
}

// gsBucket is a bucket of Google Cloud Storage.
type gsBucket struct {
	*job
	base   string
	name   string
	client *http.Client
}

// login uses the application default credentials; where there are none, only what
// is public can be read.
func (b *gsBucket) login(ctx context.Context) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, b.client)
	found, err := google.FindDefaultCredentials(ctx, "https://www.googleapis.com/auth/devstorage.read_only")
	if err != nil {
		b.advice.denied = "no credentials were found: set GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login"
		return
	}
	b.client = &http.Client{Transport: &oauth2.Transport{Source: found.TokenSource, Base: b.web}}
}

// gsObject is what the API says of an object.
type gsObject struct {
	Name            string `json:"name"`
	Size            string `json:"size"`
	Generation      string `json:"generation"`
	ContentEncoding string `json:"contentEncoding"`
}

func (o *gsObject) file() file {
	x := file{key: o.Name, size: -1, version: o.Generation}
	if n, err := strconv.ParseInt(o.Size, 10, 64); err == nil && o.ContentEncoding == "" {
		x.size = n // what is stored packed comes unpacked, and so its size is not known
	}
	return x
}

func (b *gsBucket) stat(ctx context.Context, key string) (*file, error) {
	var o gsObject
	err := b.ask(ctx, "/o/"+url.PathEscape(key), nil, &o)
	if e, ok := errors.AsType[*gsError](err); ok && (e.code == http.StatusNotFound || e.code == http.StatusForbidden || e.code == http.StatusUnauthorized) {
		return nil, nil // listing says more
	}
	if err != nil {
		return nil, b.explain(err)
	}
	x := o.file()
	return &x, nil
}

func (b *gsBucket) list(ctx context.Context, prefix string) iter.Seq2[file, error] {
	return func(yield func(file, error) bool) {
		query := url.Values{"prefix": {prefix}, "fields": {"nextPageToken,items(name,size,generation,contentEncoding)"}}
		for {
			var page struct {
				Items         []gsObject `json:"items"`
				NextPageToken string     `json:"nextPageToken"`
			}
			if err := b.ask(ctx, "/o", query, &page); err != nil {
				yield(file{}, b.explain(err))
				return
			}
			for i := range page.Items {
				if !yield(page.Items[i].file(), nil) {
					return
				}
			}
			if page.NextPageToken == "" {
				return
			}
			query.Set("pageToken", page.NextPageToken)
		}
	}
}

func (b *gsBucket) open(ctx context.Context, x *file, offset int64) (io.ReadCloser, int64, error) {
	query := url.Values{"alt": {"media"}}
	if x.version != "" {
		query.Set("generation", x.version)
	}
	header := http.Header{}
	if x.size < 0 {
		offset = 0
	}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := b.get(ctx, "/o/"+url.PathEscape(x.key), query, header)
	if err != nil {
		return nil, 0, b.explain(err)
	}
	if resp.StatusCode != http.StatusPartialContent {
		offset = 0
	}
	return resp.Body, offset, nil
}

// gsError is an answer that is not a success.
type gsError struct {
	code    int
	message string
}

func (e *gsError) Error() string { return fmt.Sprintf("%d %s", e.code, e.message) }

// get asks the API about something in the bucket.
func (b *gsBucket) get(ctx context.Context, path string, query url.Values, header http.Header) (*http.Response, error) {
	at := b.base + "/storage/v1/b/" + url.PathEscape(b.name) + path + "?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := b.client.Do(req)
	if err != nil || resp.StatusCode < 300 {
		return resp, err
	}
	defer resp.Body.Close()
	var doc struct {
		Error struct{ Message string }
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&doc)
	return nil, &gsError{resp.StatusCode, doc.Error.Message}
}

func (b *gsBucket) ask(ctx context.Context, path string, query url.Values, to any) error {
	resp, err := b.get(ctx, path, query, http.Header{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(to)
}

// explain puts an error into words.
func (b *gsBucket) explain(err error) error {
	if e, ok := errors.AsType[*gsError](err); ok {
		return b.status(e.code, e.message)
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return b.failed("the credentials were refused: "+strings.TrimSpace(e.ErrorCode+" "+e.ErrorDescription), b.advice.denied, err)
	}
	return err
}
