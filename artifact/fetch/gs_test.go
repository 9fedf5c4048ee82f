package fetch_test

import (
	"strings"
	"testing"

	"github.com/wherry-ml/wherry/artifact/fetch/fetchtest"
)

func TestGS(t *testing.T) {
	big := strings.Repeat("w", 3<<20)
	s := fetchtest.GS(t, "data", map[string]string{
		"train.csv": "1,2,3\n", "models/a/weights": big, "models/a/sub/config.json": "{}", "models/ab": "other", "späce +%.txt": "odd",
	})
	t.Setenv("STORAGE_EMULATOR_HOST", s.Host())
	model := map[string]string{"weights": big, "sub/config.json": "{}"}
	check(t, "gs://data/train.csv", map[string]string{".": "1,2,3\n"}, "")
	check(t, "gs://data/späce +%.txt", map[string]string{".": "odd"}, "")
	check(t, "gs://data/models/a", model, "")
	check(t, "gs://data/models/a/", model, "")
	check(t, "gs://data/models/ab", map[string]string{".": "other"}, "")
	check(t, "gs://data/none", nil, "import gs://data/none: there is no such key, and nothing below it; try: check the bucket and the key")
	check(t, "gs://none/train.csv", nil, "it is not there (404 Not Found")
	check(t, "gs://", nil, "it names no bucket; try: write gs://BUCKET/KEY")

	t.Setenv("STORAGE_EMULATOR_HOST", s.URL)
	check(t, "gs://data/train.csv", map[string]string{".": "1,2,3\n"}, "")
	s.Stop()
	check(t, "gs://data/train.csv", nil, "nothing answers at "+s.Host()+": connection refused; try: check STORAGE_EMULATOR_HOST")
}
