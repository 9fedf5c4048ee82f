package given

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"user.env":           "# who\nusername=user1\nexport password='p s=w1'\n\nempty=\n",
		"plain.yaml":         "mode: fast\nzip: 08\nsettings.ini: |\n  [a]\n  b=1\n",
		"plain.json":         `{"mode": "fast"}`,
		"secret.yaml":        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {a: aGVsbG8=, b: eA==}\nstringData: {b: plain}\n",
		"map.yaml":           "apiVersion: v1\nkind: ConfigMap\ndata: {a: aGVsbG8=}\nbinaryData: {b: aGVsbG8=}\n",
		"token":              "tok\n",
		"dir/username":       "u",
		"dir/password":       "p",
		"dir/..data/ignored": "x",
		"dir/.hidden":        "x",
		"list.yaml":          "- a\n",
		"nested.yaml":        "a: {b: s3cr3t}\n",
		"bad.env":            "no equals s3cr3t\n",
		"badsecret.yaml":     "apiVersion: v1\nkind: Secret\ndata: {a: '!s3cr3t'}\n",
		"broken.yaml":        "a: 's3cr3t\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GIVEN_TOKEN", "from env")
	for _, c := range []struct {
		texts []string
		want  map[string]string
		err   string
	}{
		{texts: []string{"s=user.env"}, want: map[string]string{"username": "user1", "password": "p s=w1", "empty": ""}},
		{texts: []string{"s=plain.yaml"}, want: map[string]string{"mode": "fast", "zip": "08", "settings.ini": "[a]\nb=1\n"}},
		{texts: []string{"s=plain.json"}, want: map[string]string{"mode": "fast"}},
		{texts: []string{"s=secret.yaml"}, want: map[string]string{"a": "hello", "b": "plain"}},
		{texts: []string{"s=map.yaml"}, want: map[string]string{"a": "aGVsbG8=", "b": "hello"}},
		{texts: []string{"s=token"}, want: map[string]string{"token": "tok\n"}},
		{texts: []string{"s=dir"}, want: map[string]string{"username": "u", "password": "p"}},
		{texts: []string{"s=env:GIVEN_TOKEN"}, want: map[string]string{"GIVEN_TOKEN": "from env"}},
		{texts: []string{"s/key=env:GIVEN_TOKEN", "other=dir"}, want: map[string]string{"key": "from env"}},
		{texts: []string{"s/key=plain.yaml"}, want: map[string]string{"key": "mode: fast\nzip: 08\nsettings.ini: |\n  [a]\n  b=1\n"}},
		{texts: []string{"s=user.env", "s/username=token"}, want: map[string]string{"username": "tok\n", "password": "p s=w1", "empty": ""}},
		{texts: []string{"other=dir"}, want: map[string]string{}},
		{texts: []string{"s=env:GIVEN_NOT_THERE"}, err: "GIVEN_NOT_THERE is not set"},
		{texts: []string{"s=nowhere"}, err: "no such file"},
		{texts: []string{"s/k=dir"}, err: "needs a file"},
		{texts: []string{"s=list.yaml"}, err: "no mapping"},
		{texts: []string{"s=nested.yaml"}, err: `key "a" is no text`},
		{texts: []string{"s=bad.env"}, err: "line 1 is not KEY=VALUE"},
		{texts: []string{"s=badsecret.yaml"}, err: "not base64"},
		{texts: []string{"s=broken.yaml"}, err: "no mapping"},
	} {
		var refs []Ref
		for _, text := range c.texts {
			r, err := Parse(dir, text)
			if err != nil {
				t.Fatal(err)
			}
			refs = append(refs, r)
		}
		values, err := Read(refs, "s")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v: %v, want %q and no value", c.texts, err, c.err)
			}
			continue
		}
		got := map[string]string{}
		for k, v := range values {
			got[k] = string(v)
		}
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%v: %v %s", c.texts, err, cmp.Diff(c.want, got))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "s", "=x", "s=", "s=env:", "s/=x", "s/a b=x", "s/a/b=x", "s/..=x"} {
		if r, err := Parse("/", text); err == nil {
			t.Errorf("%q: taken as %v", text, r)
		}
	}
	r, err := Parse("/base", "s/k=dir/file")
	if err != nil || r.String() != "s/k=/base/dir/file" {
		t.Errorf("%v, %v", r, err)
	}
}
