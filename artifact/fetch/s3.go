package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// fetchS3 fetches from S3 or a server that speaks like it. Everything comes from
// where the AWS tools look: AWS_* and ~/.aws; AWS_ENDPOINT_URL names another server.
// minio:// is the same with the variables that MinIO's own tools know.
func (j *job) fetchS3(ctx context.Context, scheme string) error {
	name, key, err := j.inBucket()
	if err != nil {
		return err
	}
	j.advice = s3Advice
	b := &s3Bucket{job: j, name: name}
	if err := b.configure(ctx, scheme); err != nil {
		return err
	}
	return j.fetchBucket(ctx, b, key)
}

var s3Advice = advice{
	missing: "check the bucket and the key, and AWS_ENDPOINT_URL where the store is not Amazon's",
	denied:  "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
	away:    "check AWS_ENDPOINT_URL, AWS_REGION and that this machine is online",
}

// s3Bucket is a bucket of S3.
type s3Bucket struct {
	*job
	name   string
	config aws.Config
	client *s3.Client
}

func (b *s3Bucket) configure(ctx context.Context, scheme string) error {
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // errors say it
	if scheme == "minio" {
		minio, err := b.minio()
		if err != nil {
			return err
		}
		load = append(load, minio...)
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return b.failed("the AWS configuration can't be read: "+err.Error(), "check AWS_PROFILE and ~/.aws/config", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Credentials == nil {
		cfg.Credentials = aws.AnonymousCredentials{}
	} else if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		// Many buckets are public; of one that is not, say what is missing.
		cfg.Credentials = aws.AnonymousCredentials{}
		b.advice.denied = "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
	}
	b.config = cfg
	b.connect()
	return nil
}

// minio is what MinIO's variables say. What they leave out, AWS_* may say.
func (b *s3Bucket) minio() ([]func(*config.LoadOptions) error, error) {
	b.advice.away = "check MINIO_ENDPOINT, and that the server runs"
	b.advice.denied = "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
	first := func(names ...string) string {
		for _, n := range names {
			if v := b.getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	endpoint := first("MINIO_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
	if endpoint == "" {
		return nil, b.failed("it is not known where the MinIO server is", "set MINIO_ENDPOINT to its address, such as http://127.0.0.1:9000", nil)
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	load := []func(*config.LoadOptions) error{config.WithBaseEndpoint(endpoint)}
	id, secret := first("MINIO_ACCESS_KEY", "MINIO_ROOT_USER"), first("MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD")
	if id != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, "")))
	}
	return load, nil
}

func (b *s3Bucket) connect() {
	b.client = s3.NewFromConfig(b.config, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // other servers seldom have a host name for each bucket
		o.Retryer = aws.NopRetryer{}           // we try again ourselves
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

func (b *s3Bucket) stat(ctx context.Context, key string) (*file, error) {
	var out *s3.HeadObjectOutput
	err := b.call(func() (err error) {
		out, err = b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
		return err
	})
	if code := s3Status(err); code == http.StatusNotFound || code == http.StatusForbidden {
		return nil, nil // who may not list is told "forbidden" of a key that is not there; listing says more
	}
	if err != nil {
		return nil, b.explain(err)
	}
	return &file{key: key, size: aws.ToInt64(out.ContentLength), version: aws.ToString(out.ETag)}, nil
}

func (b *s3Bucket) list(ctx context.Context, prefix string) iter.Seq2[file, error] {
	return func(yield func(file, error) bool) {
		var token *string
		for more := true; more; {
			var page *s3.ListObjectsV2Output
			err := b.call(func() (err error) {
				page, err = b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix, ContinuationToken: token})
				return err
			})
			if err != nil {
				yield(file{}, b.explain(err))
				return
			}
			for _, o := range page.Contents {
				if !yield(file{key: aws.ToString(o.Key), size: aws.ToInt64(o.Size), version: aws.ToString(o.ETag)}, nil) {
					return
				}
			}
			token = page.NextContinuationToken
			more = aws.ToBool(page.IsTruncated) && token != nil
		}
	}
}

func (b *s3Bucket) open(ctx context.Context, x *file, offset int64) (io.ReadCloser, int64, error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &x.key}
	if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	if x.version != "" {
		in.IfMatch = &x.version
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		return nil, 0, b.explain(err)
	}
	if offset > 0 && out.ContentRange == nil {
		offset = 0
	}
	return out.Body, offset, nil
}

// call calls f, once more in the bucket's own region where the answer says that it
// is another one.
func (b *s3Bucket) call(f func() error) error {
	err := f()
	e, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || e.Response == nil {
		return err
	}
	region := e.Response.Header.Get("X-Amz-Bucket-Region")
	if region == "" || region == b.config.Region {
		return err
	}
	b.config.Region = region
	b.connect()
	return f()
}

func s3Status(err error) int {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// explain puts an error of the AWS library into words.
func (b *s3Bucket) explain(err error) error {
	code := s3Status(err)
	api, said := errors.AsType[smithy.APIError](err)
	switch {
	case code == 0:
		return err // of the network
	case said && api.ErrorCode() == "NoSuchBucket":
		return b.failed(fmt.Sprintf("there is no bucket %q (%d)", b.name, code), b.advice.missing, err)
	case said && api.ErrorCode() != "NotFound" && api.ErrorCode() != http.StatusText(code):
		return b.status(code, api.ErrorCode())
	}
	return b.status(code, "")
}
