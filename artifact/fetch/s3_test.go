package fetch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact/fetch/fetchtest"
)

// awsEnv is an environment in which only what a test sets is found.
func awsEnv(t *testing.T, vars ...string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MINIO_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for i := 0; i < len(vars); i += 2 {
		t.Setenv(vars[i], vars[i+1])
	}
}

func TestS3(t *testing.T) {
	awsEnv(t)
	objects := map[string]string{
		"train.csv": "1,2,3\n", "models/a/weights": strings.Repeat("w", 3<<20), "models/a/sub/config.json": "{}", "models/ab": "other",
		"ünï cödé/späce +%.txt": "odd", "models/b/": "",
	}
	for i := range 1100 { // more than one page of a list
		objects[fmt.Sprintf("many/%04d", i)] = fmt.Sprint(i)
	}
	s := fetchtest.S3(t, "data", objects)
	awsEnv(t, "AWS_ENDPOINT_URL", s.URL, "AWS_ACCESS_KEY_ID", fetchtest.Key, "AWS_SECRET_ACCESS_KEY", fetchtest.Secret)

	model := map[string]string{"weights": objects["models/a/weights"], "sub/config.json": "{}"}
	check(t, "s3://data/train.csv", map[string]string{".": "1,2,3\n"}, "")
	check(t, "s3://data/ünï cödé/späce +%.txt", map[string]string{".": "odd"}, "")
	check(t, "s3://data/models/a", model, "")
	check(t, "s3://data/models/a/", model, "")
	check(t, "s3://data/models/ab", map[string]string{".": "other"}, "")
	check(t, "s3://data/models/b", map[string]string{}, "")
	many := map[string]string{}
	for key, text := range objects {
		if rel, ok := strings.CutPrefix(key, "many/"); ok {
			many[rel] = text
		}
	}
	check(t, "s3://data/many", many, "")

	check(t, "s3://data/none", nil, "import s3://data/none: there is no such key, and nothing below it; try: check the bucket and the key")
	check(t, "s3://none/train.csv", nil, `there is no bucket "none" (404); try: check the bucket`)
	check(t, "s3://none", nil, `there is no bucket "none"`)
	check(t, "s3:///x", nil, "it names no bucket; try: write s3://BUCKET/KEY")
	check(t, "s3://data/../x", nil, "its key has an empty part, . or ..")
	check(t, "s3://data/a//b", nil, "its key has an empty part")

	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	check(t, "s3://data/train.csv", nil, "import s3://data/train.csv: access denied (403 Forbidden: SignatureDoesNotMatch); try: check the credentials: AWS_ACCESS_KEY_ID")
	awsEnv(t, "AWS_ENDPOINT_URL", s.URL)
	check(t, "s3://data/train.csv", nil, "access denied (403 Forbidden: AccessDenied); try: no credentials were found: set AWS_ACCESS_KEY_ID")
	awsEnv(t, "AWS_PROFILE", "none")
	check(t, "s3://data/train.csv", nil, "the AWS configuration can't be read")

	// A profile and its endpoint, as the AWS tools read them.
	file := filepath.Join(t.TempDir(), "config")
	awsEnv(t, "AWS_PROFILE", "lab", "AWS_CONFIG_FILE", file)
	profile := fmt.Sprintf("[profile lab]\nendpoint_url = %s\nregion = us-east-1\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.URL, fetchtest.Key, fetchtest.Secret)
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, "s3://data/train.csv", map[string]string{".": "1,2,3\n"}, "")

	awsEnv(t)
	check(t, "minio://data/train.csv", nil, "it is not known where the MinIO server is; try: set MINIO_ENDPOINT")
	awsEnv(t, "MINIO_ENDPOINT", s.Host(), "MINIO_ACCESS_KEY", fetchtest.Key, "MINIO_SECRET_KEY", fetchtest.Secret)
	check(t, "minio://data/train.csv", map[string]string{".": "1,2,3\n"}, "")

	s.Stop()
	check(t, "minio://data/train.csv", nil, "nothing answers at "+s.Host()+": connection refused; try: check MINIO_ENDPOINT")
}
