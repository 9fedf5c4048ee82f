package redact

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const token = "glpat-0123456789abcdef"
	for _, tt := range []struct{ in, url, text, key string }{
		{"/a/b", "/a/b", "/a/b", "/a/b"},
		{"a@b.c", "a@b.c", "a@b.c", "a@b.c"},
		{"https://h/x?sig=1#f", "https://h/x", "https://h/x?sig=1#f", "https://h/x?sig=1#f"},
		{"https://zoe:hunter2@h/x", "https://h/x", "https://h/x", "https://zoe@h/x"},
		{"https://:hunter2@h/x", "https://h/x", "https://h/x", "https://h/x"},
		{"https://zoe:hun@ter2@h/x", "https://h/x", "https://h/x", "https://zoe@h/x"},
		{"https://zoe:hun%zter2@h/%zz", "https://h/%zz", "https://h/%zz", "https://zoe@h/%zz"},
		{"https://" + token + "@h/x", "https://h/x", "https://h/x", "https://a3fd1b5cf7ff@h/x"},
		{"hdfs://zoe@h/x", "hdfs://h/x", "hdfs://h/x", "hdfs://zoe@h/x"},
		{"git+ssh://git@h/x", "git+ssh://h/x", "git+ssh://git@h/x", "git+ssh://git@h/x"},
		{"oci://h/x@sha256:1", "oci://h/x@sha256:1", "oci://h/x@sha256:1", "oci://h/x@sha256:1"},
		{`pip -i "https://a:b@h" 'x @ git+https://c:d@i/j@v1'`, "", `pip -i "https://h" 'x @ git+https://i/j@v1'`, `pip -i "https://a@h" 'x @ git+https://c@i/j@v1'`},
	} {
		if got := URL(tt.in); tt.url != "" && got != tt.url {
			t.Errorf("URL(%s) = %s, want %s", tt.in, got, tt.url)
		}
		if got := Text(tt.in); got != tt.text {
			t.Errorf("Text(%s) = %s, want %s", tt.in, got, tt.text)
		}
		got := Key(tt.in)
		if strings.Contains(tt.in, token) {
			if strings.Contains(got, token) || got == Key("https://other-0123456789abcdef@h/x") {
				t.Errorf("Key(%s) = %s", tt.in, got)
			}
		} else if got != tt.key {
			t.Errorf("Key(%s) = %s, want %s", tt.in, got, tt.key)
		}
	}
}
