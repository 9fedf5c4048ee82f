package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/redact"
)

// Layer is what pip adds to an image, or to a Python environment.
type Layer struct {
	Installs [][]string `json:"installs,omitempty"` // arguments of each "pip install", in order
	Venv     bool       `json:"venv,omitempty"`     // into a virtual environment that sees the image's own packages
	Env      []EnvVar   `json:"env,omitempty"`      // of pip: its PIP_… settings, proxies
}

// Empty reports whether l adds nothing.
func (l *Layer) Empty() bool { return l == nil || len(l.Installs) == 0 && !l.Venv }

// Digest is the digest of what decides the layer: what is installed, and those of
// pip's settings that say from where and what; not proxies and certificates.
func (l *Layer) Digest() string {
	if l.Empty() {
		return ""
	}
	installs := make([][]string, len(l.Installs)) // the same with another password
	for i, args := range l.Installs {
		for _, a := range args {
			installs[i] = append(installs[i], redact.Text(a))
		}
	}
	text, _ := json.Marshal([]any{installs, l.Venv, l.Settings()}) // of strings: it can't fail
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// howPip are settings that say how pip works and not what it installs.
var howPip = []string{
	"PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK",
	"PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "PIP_RETRIES", "PIP_PROGRESS_BAR", "PIP_QUIET", "PIP_VERBOSE", "PIP_NO_INPUT",
	"PIP_NO_COLOR", "PIP_ROOT_USER_ACTION", "PIP_LOG", "PIP_TRUSTED_HOST",
}

// Settings are the variables of Env that decide what is installed, as NAME=value;
// of a secret it is known only that there is one, and no URL has a password.
func (l *Layer) Settings() []string {
	var out []string
	for _, e := range l.Env {
		switch {
		case !strings.HasPrefix(e.Name, "PIP_") || slices.Contains(howPip, e.Name):
		case e.Secret:
			out = append(out, e.Name+"=(a secret)")
		default:
			out = append(out, e.Name+"="+redact.Text(e.Value))
		}
	}
	slices.Sort(out)
	return out
}

// LayerEnv reports whether a layer needs a container's variable of this name.
func LayerEnv(name string) bool {
	if strings.HasPrefix(name, "PIP_") {
		return true
	}
	return slices.Contains([]string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC",
	}, strings.ToUpper(name))
}

// Packages are what l installs, for people: without options, and without kfp
// where there is more, which is in every layer of a Kubeflow component.
func (l *Layer) Packages() []string {
	var all, own []string
	for _, args := range l.Installs {
		for _, w := range Split(args).Packages {
			name := RequirementName(w)
			if slices.Contains(all, w) || name == "typing-extensions" {
				continue
			}
			all = append(all, w)
			if name != "kfp" {
				own = append(own, w)
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

// Split parts the arguments of a pip install, for records and people: URLs have no
// credentials.
func Split(args []string) (s struct{ Packages, Options []string }) {
	for i := 0; i < len(args); i++ {
		w := redact.Text(args[i])
		if !strings.HasPrefix(w, "-") {
			s.Packages = append(s.Packages, w)
			continue
		}
		s.Options = append(s.Options, w)
		if PipTakesValue(w) && i+1 < len(args) {
			i++
			s.Options = append(s.Options, redact.Text(args[i]))
		}
	}
	return s
}

// PipTakesValue reports whether the word after an option of pip is its value.
func PipTakesValue(option string) bool {
	return slices.Contains([]string{
		"-i", "--index-url", "--pypi-url", "--extra-index-url", "--trusted-host", "--only-binary", "--no-binary", "--upgrade-strategy",
		"--timeout", "--retries", "--use-feature", "--use-deprecated", "--proxy", "--progress-bar", "-f", "--find-links",
		"-r", "--requirement", "-c", "--constraint",
	}, option)
}

// RequirementName is the package that a requirement names: "pandas" of
// "pandas[all]>=2; python_version>'3'"; a URL stands for itself.
func RequirementName(requirement string) string {
	if name, _, ok := strings.Cut(requirement, " @ "); ok {
		requirement = name
	}
	if strings.Contains(requirement, "://") {
		return requirement
	}
	if i := strings.IndexAny(requirement, "[<>=!~; @("); i > 0 {
		requirement = requirement[:i]
	}
	return strings.ToLower(strings.TrimSpace(requirement))
}
