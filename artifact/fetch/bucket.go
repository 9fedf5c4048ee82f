package fetch

import (
	"context"
	"iter"
	"strings"
)

// bucket is one bucket of an object store.
type bucket interface {
	source
	// stat returns the object with this key; nil where there is none, or where one
	// must not ask.
	stat(ctx context.Context, key string) (*file, error)
	// list yields the objects whose keys begin with prefix.
	list(ctx context.Context, prefix string) iter.Seq2[file, error]
}

// fetchBucket fetches the object with this key or, where there is none, all below
// it as a directory. Object stores have no directories: what ends in a slash is an
// empty one that a browser of buckets has made.
func (j *job) fetchBucket(ctx context.Context, b bucket, key string) error {
	if key != "" && !strings.HasSuffix(key, "/") {
		var x *file
		err := patiently(ctx, func() (err error) {
			x, err = b.stat(ctx, key)
			return j.orNil(ctx, err)
		})
		if err != nil {
			return err
		}
		if x != nil {
			return j.files(ctx, b, []file{*x})
		}
		key += "/"
	}
	all, err := j.below(ctx, b, key)
	if err != nil {
		return err
	}
	return j.files(ctx, b, all)
}

// below lists what lies below prefix.
func (j *job) below(ctx context.Context, b bucket, prefix string) ([]file, error) {
	var all []file
	found := false
	err := patiently(ctx, func() error {
		all, found = nil, false
		for x, err := range b.list(ctx, prefix) {
			if err != nil {
				return j.orNil(ctx, err)
			}
			found = true
			if strings.HasSuffix(x.key, "/") {
				continue
			}
			x.path = strings.TrimPrefix(x.key, prefix)
			all = append(all, x)
		}
		return nil
	})
	if err == nil && !found {
		return nil, j.failed("there is no such key, and nothing below it", j.advice.missing, nil)
	}
	return all, err
}

func (j *job) orNil(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return j.because(ctx, err)
}
