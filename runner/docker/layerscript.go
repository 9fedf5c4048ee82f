package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// The files of a layer's build, which the script itself removes in the end.
const (
	layerDir        = "/.wherry-layer"
	layerScriptName = "install.sh"
	layerWarmName   = "warm.py"
	layerListName   = "list.py"
	layerCAName     = "ca.pem"
)

// layerVenv is the virtual environment of layers that want one.
const layerVenv = "/opt/wherry/venv"

// putLayerFiles brings the script into the container. It goes as a file and its
// variables within it, so that nothing of them (a proxy's password, an index's
// token) is in the image's configuration or history.
func (b *Backend) putLayerFiles(ctx context.Context, e *engine, spec runner.BuildSpec, name string) error {
	env := b.connect.conf.proxyEnv(e.end.host)
	files := map[string]string{layerWarmName: warmScript, layerListName: listScript}
	if spec.CABundle != "" {
		pem, err := os.ReadFile(spec.CABundle)
		if err != nil {
			return fmt.Errorf("CA bundle: %w", err)
		}
		files[layerCAName] = string(pem)
		for name := range caEnv() {
			env[name] = layerDir + "/" + layerCAName
		}
	}
	files[layerScriptName] = layerScript(spec.Layer, env)
	return e.putArchive(ctx, name, func(w *tar.Writer) error {
		dir := strings.TrimPrefix(layerDir, "/") + "/"
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o700}); err != nil {
			return err
		}
		for name, text := range files {
			if err := writeBytes(w, dir+name, []byte(text)); err != nil {
				return err
			}
		}
		return nil
	})
}

// layerScript installs a layer, as root. Everything that pip would write beside
// the packages goes to the cache or to /tmp.
func layerScript(l *runner.Layer, env map[string]string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "trap 'rm -rf %s' EXIT\nset -e\numask 022\ncd /\n", layerDir)
	own := []runner.EnvVar{
		{Name: "PIP_CACHE_DIR", Value: pipCachePath}, {Name: "PIP_NO_CACHE_DIR"}, {Name: "PIP_USER", Value: "0"},
		{Name: "PIP_DISABLE_PIP_VERSION_CHECK", Value: "1"}, {Name: "PIP_ROOT_USER_ACTION", Value: "ignore"},
		{Name: "PYTHONDONTWRITEBYTECODE"},
	}
	if l != nil {
		own = slices.Concat(l.Env, own)
	}
	for _, e := range environ(env, own) {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&s, "export %s=%s\n", name, quote(value))
	}
	if l.Empty() {
		return s.String()
	}
	s.WriteString("python3 -m pip --version >/dev/null 2>&1 || python3 -m ensurepip || { apt-get update && apt-get install -y --no-install-recommends python3-pip; }\n")
	if l.Venv {
		fmt.Fprintf(&s, "python3 -m venv --system-site-packages %s\nPATH=%s/bin:$PATH\n", layerVenv, layerVenv)
	}
	for _, args := range l.Installs {
		s.WriteString("python3 -m pip install --no-input --progress-bar off")
		for _, a := range args {
			s.WriteString(" " + quote(a))
		}
		s.WriteString("\n")
	}
	fmt.Fprintf(&s, "python3 %s/%s >/dev/null 2>&1 || :\n", layerDir, layerWarmName)
	fmt.Fprintf(&s, "python3 %s/%s 2>/dev/null || :\n", layerDir, layerListName)
	return s.String()
}

// quote makes one word of a shell's command.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// installedSign begins the line that listScript prints.
const installedSign = "wherry-installed: "

// listScript says what pip made of the requirements: the digest of all packages and
// their versions.
const listScript = `import hashlib, re
from importlib.metadata import distributions
names = {re.sub(r'[-_.]+', '-', d.metadata['Name'] or '').lower() + '==' + d.version for d in distributions()}
print('` + installedSign + `sha256:' + hashlib.sha256('\n'.join(sorted(names)).encode()).hexdigest())
`

// warmScript compiles what each start of Python would compile anew: pip has done
// it for the packages, and many images leave it out for Python's own modules.
const warmScript = `import compileall, importlib.util, os, re
lib = os.path.dirname(os.__file__)
if not os.path.exists(importlib.util.cache_from_source(os.__file__)):
    skip = r'/(test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip|pydoc_data|site-packages|dist-packages)/'
    compileall.compile_dir(lib, quiet=2, workers=0, rx=re.compile(skip))
`
