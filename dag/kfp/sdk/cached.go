package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/filelock"
)

// completeMark is a file of a finished virtualenv: those without it are made anew.
const completeMark = ".wherry-complete"

// cached is a virtualenv in WHERRY_HOME with the kfp that wherry is tested with. It
// is made once, with what python3 is here; other processes wait for that.
func (o *Options) cached(ctx context.Context, python string) (*interpreter, error) {
	version, err := command(ctx, python, "-c", "import platform, sys; print(sys.version, sys.prefix, platform.machine())")
	if err != nil {
		return nil, o.noCache(ctx, python+": "+lastLines(version, 1), ownEnv)
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{version}, packages...), "\n")))
	dir := filepath.Join(o.Home, "sdk", "kfp-"+Version+"-"+hex.EncodeToString(sum[:4]))
	py := &interpreter{argv: []string{filepath.Join(dir, "bin", "python")}, what: "wherry's own virtualenv " + dir}
	mark := filepath.Join(dir, completeMark)
	if exists(mark) {
		return py, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, o.noCache(ctx, err.Error(), "set WHERRY_HOME to a folder that you may write; or "+ownEnv)
	}
	unlock, err := filelock.Lock(ctx, dir+".lock", nil)
	if err != nil {
		return nil, fmt.Errorf("wait for another wherry that gets kfp: %w", err)
	}
	defer unlock()
	if exists(mark) {
		return py, nil
	}
	if err := o.makeEnv(ctx, python, dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return py, os.WriteFile(mark, nil, 0o644)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// makeEnv makes the virtualenv. It embeds its own path, so it is made in place.
func (o *Options) makeEnv(ctx context.Context, python, dir string) error {
	o.Note(fmt.Sprintf("note: no Python here has kfp: getting kfp %s into %s, once", Version, dir))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if out, err := command(ctx, python, "-m", "venv", dir); err != nil {
		return o.noCache(ctx, python+" -m venv: "+lastLines(out, 3), "install Python's venv module (Debian: apt-get install python3-venv)")
	}
	pip := []string{filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"}
	start := time.Now()
	if out, err := command(ctx, append(pip, packages...)...); err != nil {
		return o.noCache(ctx, "pip could not get it:\n"+lastLines(out, 5),
			"connect to a network once (pip's own settings, PIP_INDEX_URL and proxies are honoured); or activate a virtualenv that has kfp; or run the compiled YAML")
	}
	o.Note(fmt.Sprintf("note: got kfp %s in %.0f s", Version, time.Since(start).Seconds()))
	return nil
}

// noCache is the error where no Python here has kfp and none could be made.
func (o *Options) noCache(ctx context.Context, why, mend string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &source.Error{File: o.File, Msg: "can't be compiled: no Python here has kfp, and " + strings.ReplaceAll(why, "\n", "\n  ")}
	return e.WithMend("%s", mend)
}
