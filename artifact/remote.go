package artifact

import (
	"context"

	"github.com/wherry-ml/wherry/artifact/fetch"
	"github.com/wherry-ml/wherry/redact"
)

const fetched = "fetched" // name in a stage of what was brought in

// Fetch stores what uri names, here (as Import) or elsewhere: s3://, minio://,
// gs://, http(s):// and oci://. Of an object store a key is a file and what lies
// below a prefix a directory; of a registry it is a directory. progress is told how
// many bytes have come and, unless 0, of how many; it may be nil.
//
// It streams to the disk, whatever the size. What a call that ended early has
// brought in is removed, that of a process that died by the next one. What can't be
// had is a *fetch.Error, a scheme that is not known a *fetch.UnknownSchemeError.
func (s *Store) Fetch(ctx context.Context, uri string, progress func(done, total int64)) (digest string, size int64, err error) {
	if scheme := fetch.SchemeOf(uri); scheme == "" || scheme == "file" {
		return s.Import(ctx, uri)
	}
	st, err := s.newStage()
	if err != nil {
		return "", 0, err
	}
	defer st.close()
	if err := fetch.Fetch(ctx, uri, st.Root, fetched, fetch.Options{Progress: progress}); err != nil {
		return "", 0, s.noSpace(err, "fetching "+redact.URL(uri), 0)
	}
	return s.Add(ctx, st.path(fetched))
}
