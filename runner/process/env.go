package process

import (
	"path/filepath"
	"slices"
	"strings"
)

// inherited are the variables of the host that a container sees: who and where
// it is, how it reaches the network, and where pip finds packages. Nothing else
// of the host's environment may decide a result, or reach a step by accident.
var inherited = []string{
	"HOME", "USER", "LOGNAME", "PATH", "LANG", "LANGUAGE", "TZ",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CACHE_HOME",
}

// inheritedPrefixes are the beginnings of names that are inherited too.
var inheritedPrefixes = []string{"LC_", "PIP_", "UV_"}

// dropped are those of the prefixed names that would lead pip out of its environment.
var dropped = []string{"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_PYTHON"}

// defaultPath is the PATH of a host that sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// marker is the variable by which all processes of a pod are known.
func (d podDir) marker() string { return "WHERRY_POD=" + string(d) }

// containerEnv is the environment of c: what the host lends, what this backend
// sets, what the pod gives, and secrets; of a name that occurs twice the later.
func containerEnv(host []string, d podDir, c *containerSpec, secret []string) []string {
	env := hostEnv(host)
	env = append(env, "TMPDIR="+d.tmp())
	if c.Venv != "" {
		// Python must not write byte code beside sources that others share.
		env = append(env, "VIRTUAL_ENV="+c.Venv, "PYTHONDONTWRITEBYTECODE=1")
	}
	env = append(env, c.Env...)
	env = append(env, secret...)
	env = append(env, d.marker())
	last := map[string]string{}
	var names []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if _, ok := last[name]; !ok {
			names = append(names, name)
		}
		last[name] = value
	}
	last["PATH"] = strings.Join(append(slices.Clone(c.Paths), last["PATH"]), string(filepath.ListSeparator))
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + "=" + last[name]
	}
	return out
}

func hostEnv(host []string) []string {
	env := []string{"PATH=" + defaultPath}
	active := ""
	if i := slices.IndexFunc(host, func(e string) bool { return strings.HasPrefix(e, "VIRTUAL_ENV=/") }); i >= 0 {
		active = strings.TrimPrefix(host[i], "VIRTUAL_ENV=")
	}
	for _, e := range host {
		name, value, _ := strings.Cut(e, "=")
		has := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		switch {
		case name == "PATH":
			env = append(env, "PATH="+absolutePaths(value, active))
		case slices.Contains(dropped, name):
		case slices.Contains(inherited, name) || slices.ContainsFunc(inheritedPrefixes, has):
			env = append(env, e)
		}
	}
	return env
}

// absolutePaths drops the entries of a PATH that depend on the directory, and
// those of the active environment, which isn't the step's.
func absolutePaths(path, active string) string {
	keep := slices.DeleteFunc(filepath.SplitList(path), func(p string) bool {
		return !filepath.IsAbs(p) || active != "" && strings.HasPrefix(p, active+"/")
	})
	if len(keep) == 0 {
		return defaultPath
	}
	return strings.Join(keep, string(filepath.ListSeparator))
}
