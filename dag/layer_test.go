package dag

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wherry-ml/wherry/runner"
)

func layeredContainer() *Container {
	return &Container{
		Command: []Arg{{Text: Literal("sh")}, {Text: Literal("-c")}, {Text: Literal("pip")}, {Text: Literal("python3")}},
		Layer:   &Layer{Installs: [][]string{{"six"}}, Words: 3},
	}
}

// Pip's settings, from the step and from wherry.yaml, are the layer's too; where
// only the run tells what they are, the command runs as it is written.
func TestLayerSettings(t *testing.T) {
	o := RunOptions{Env: []runner.EnvVar{{Name: "PIP_INDEX_URL", Value: "a"}, {Name: "OTHER", Value: "x"}, {Name: "https_proxy", Value: "p"}}}
	c := layeredContainer()
	c.Env = []EnvVar{{Name: "PIP_INDEX_URL", Value: Literal("b")}, {Name: "LEVEL", Value: Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}}}}
	want := &runner.Layer{Installs: [][]string{{"six"}}, Env: []runner.EnvVar{{Name: "https_proxy", Value: "p"}, {Name: "PIP_INDEX_URL", Value: "b"}}}
	if diff := cmp.Diff(want, c.layer(o)); diff != "" || len(c.command(o)) != 1 {
		t.Errorf("%s, %d words", diff, len(c.command(o)))
	}
	asWritten := func(name string, c *Container, o RunOptions) {
		t.Helper()
		if c.layer(o) != nil || len(c.command(o)) != 4 {
			t.Errorf("%s: %+v, %d words", name, c.layer(o), len(c.command(o)))
		}
	}
	asWritten("--no-layers", c, RunOptions{NoLayers: true})
	c.Env = []EnvVar{{Name: "PIP_INDEX_URL", Value: Text{{Ref: &Ref{Kind: RefInputValue, Name: "x"}}}}}
	asWritten("an input", c, o)
	c.Env = []EnvVar{{Name: "PIP_INDEX_URL", From: &EnvFrom{}}}
	asWritten("a secret", c, o)
}

// What decides a layer is in its digest; how pip reaches its index is not.
func TestLayerDigest(t *testing.T) {
	digest := func(env ...runner.EnvVar) string {
		return (&runner.Layer{Installs: [][]string{{"six"}}, Env: env}).Digest()
	}
	plain := digest()
	for _, e := range []runner.EnvVar{{Name: "HTTPS_PROXY", Value: "x"}, {Name: "PIP_CERT", Value: "x"}, {Name: "PIP_TIMEOUT", Value: "9"}} {
		if digest(e) != plain {
			t.Errorf("%s counts", e.Name)
		}
	}
	seen := map[string]bool{plain: true}
	for _, e := range []runner.EnvVar{{Name: "PIP_INDEX_URL", Value: "x"}, {Name: "PIP_INDEX_URL", Value: "y"}, {Name: "PIP_PRE", Value: "1"}, {Name: "PIP_INDEX_URL", Value: "y", Secret: true}} {
		if seen[digest(e)] {
			t.Errorf("%+v does not count", e)
		}
		seen[digest(e)] = true
	}
	a, b := runner.Layer{Installs: [][]string{{"a", "b"}}}, runner.Layer{Installs: [][]string{{"a"}, {"b"}}}
	if a.Digest() == b.Digest() || (&runner.Layer{}).Digest() != "" {
		t.Error("two installs are one, or none is some")
	}
}

func TestMissOfARequirement(t *testing.T) {
	parts := func(installs ...[]string) map[string]string {
		run, n := keyPod()
		n.image[1].layers = []*runner.Layer{{Installs: installs}}
		return keyParts(run, n)
	}
	kfp := []string{"kfp==2.17.0", "--no-deps"}
	was := parts([]string{"pandas[all]==2.2.2", "six"}, kfp)
	for want, now := range map[string]map[string]string{
		"requirement pandas: [all]==2.2.2 -> [all]==2.2.3":                  parts([]string{"pandas[all]==2.2.3", "six"}, kfp),
		"requirement six: any version -> (none)":                            parts([]string{"pandas[all]==2.2.2"}, kfp),
		"requirement kfp: ==2.17.0 -> ==2.16.0":                             parts([]string{"pandas[all]==2.2.2", "six"}, []string{"kfp==2.16.0", "--no-deps"}),
		"requirement options: --no-deps -> --index-url https://a --no-deps": parts([]string{"--index-url", "https://a", "pandas[all]==2.2.2", "six"}, kfp),
	} {
		if got := explainMiss(was, now, nil); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if cacheKey(was) == cacheKey(parts(kfp, []string{"pandas[all]==2.2.2", "six"})) {
		t.Error("the order of installs doesn't count")
	}
}
