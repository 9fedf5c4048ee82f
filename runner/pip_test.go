package runner

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLayerError(t *testing.T) {
	l := &Layer{Installs: [][]string{{"--pre", "pandas==2", "six"}, {"kfp==2.17.0", "--no-deps", "typing-extensions>=3"}}}
	retry := "WARNING: Retrying (Retry(total=%)) after connection broken by 'NewConnectionError('x')'"
	for _, tt := range []struct{ output, want, mend string }{
		{"Collecting pandas==2\n\n[notice] a new pip\nERROR: No matching distribution found for pandas==2",
			"Collecting pandas==2\n  ERROR: No matching distribution found for pandas==2", "the name and the version"},
		{retry + "\n" + retry + "1\nERROR: No matching distribution found for pandas==2",
			retry + "1\n  ERROR: No matching distribution found for pandas==2", "connect to the network once"},
		{"SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "", "trust: FILE.pem"},
		{"error: subprocess-exited-with-error", "", "compiler"},
		{"OSError: [Errno 28] No space left on device", "", "docker system df"},
		{"something else", "", "--no-layers"},
	} {
		e := NewLayerError(l, "python:3.11", strings.Split(tt.output, "\n"))
		if want := "install pandas==2 six on python:3.11: pip failed\n  " + tt.want; !strings.HasPrefix(e.Error(), want) || !strings.Contains(e.Hint(), tt.mend) {
			t.Errorf("%q: %s, try: %s", tt.output, e, e.Hint())
		}
	}
	long := slices.Repeat([]string{"a", "b"}, 50)
	if e := NewLayerError(l, "x", long); len(e.Lines) != tellingCount {
		t.Errorf("%d lines", len(e.Lines))
	}
}

func TestRequirementName(t *testing.T) {
	for text, want := range map[string]string{
		"pandas": "pandas", "Pandas[all]==2.2": "pandas", "a>=1,<2; python_version<'3.9'": "a", "a ~= 1": "a", "a!=1": "a",
		"torch @ https://h.example/t.whl": "torch", "git+https://h.example/r@main#egg=x": "git+https://h.example/r@main#egg=x",
	} {
		if got := RequirementName(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What is shown of a layer has no credentials, whatever its requirements say.
func TestLayerShowsNoCredentials(t *testing.T) {
	const url = "https://me:hunter2@index.example/simple"
	l := &Layer{Installs: [][]string{{"-i", url, "x @ git+" + url, "git+" + url}}, Env: []EnvVar{{Name: "PIP_INDEX_URL", Value: url}}}
	err := NewLayerError(l, "img", []string{"ERROR: nothing at " + url})
	if text := fmt.Sprint(err, l.Packages(), l.Settings()); strings.Contains(text, "hunter2") || !strings.Contains(text, "index.example") {
		t.Error(text)
	}
	other := *l
	other.Env = []EnvVar{{Name: "PIP_INDEX_URL", Value: strings.Replace(url, "hunter2", "changed", 1)}}
	if l.Digest() != other.Digest() {
		t.Error("another password is another layer")
	}
}
