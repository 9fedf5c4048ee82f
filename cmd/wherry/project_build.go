package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/dag/source"
)

// complete checks one entry of build and makes its paths absolute.
func (b *buildSpec) complete(f *source.File, base, name string) error {
	who := fmt.Sprintf("build %q", name)
	r := &b.Requirements
	hasRequirements := len(r.List) > 0 || r.File != ""
	switch {
	case b.Context == "" && b.Base == "":
		return f.Errorf(b.Pos, "%s needs a base (with requirements) or a context (with a Dockerfile)", who)
	case b.Context != "" && (b.Base != "" || hasRequirements):
		return f.Errorf(b.Pos, "%s has a context, so its Dockerfile names base and requirements", who)
	case b.Context == "" && b.Dockerfile != "":
		return f.Errorf(b.Pos, "%s has a dockerfile and no context", who).WithMend("context: .")
	}
	if b.Context != "" {
		return b.completeContext(f, base, who)
	}
	if r.File != "" {
		return r.readFile(f, base, who)
	}
	for _, line := range r.List {
		if strings.TrimSpace(line) == "" || strings.ContainsAny(line, "\n\r") || strings.HasPrefix(strings.TrimSpace(line), "-") {
			return f.Errorf(r.Pos, "%s: %q is not a requirement like pandas==2.2.3", who, line)
		}
	}
	return nil
}

func (b *buildSpec) completeContext(f *source.File, base, who string) error {
	b.Context = relativeTo(base, b.Context)
	info, err := os.Stat(b.Context)
	if err != nil || !info.IsDir() {
		return f.Errorf(b.Pos, "%s: context %s is not a folder", who, b.Context)
	}
	dockerfile := b.Dockerfile
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	if !filepath.IsLocal(dockerfile) {
		return f.Errorf(b.Pos, "%s: dockerfile %q must be a path in the context", who, dockerfile)
	}
	if info, err = os.Stat(filepath.Join(b.Context, dockerfile)); err != nil || !info.Mode().IsRegular() {
		return f.Errorf(b.Pos, "%s: there is no %s in %s", who, dockerfile, b.Context)
	}
	return nil
}

// readFile reads a requirements.txt. Its options (-r, --index-url) would need
// what is not in the image's derivation.
func (r *requirements) readFile(f *source.File, base, who string) error {
	name := r.File
	r.File = relativeTo(base, name)
	text, err := os.ReadFile(r.File)
	if err != nil {
		return f.Errorf(r.Pos, "%s: requirements %s: %s", who, name, pathCause(err)).
			WithMend("give the name of a file, or a list: [pandas==2.2.3]")
	}
	joined := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(joined) {
		line, _, _ = strings.Cut(" "+strings.TrimSpace(line), " #")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "-") {
			return f.Errorf(r.Pos, "%s: requirements %s: option %q is not supported yet", who, name, line)
		}
		r.List = append(r.List, line)
	}
	return nil
}

func checkPEM(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, pathCause(err))
	}
	if block, _ := pem.Decode(bytes.TrimSpace(text)); block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return nil
}

// pathCause drops the operation and path of an *fs.PathError.
func pathCause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// mount places a file or folder of this machine in every step.
type mount struct {
	Source   string // absolute, on this machine
	Target   string // absolute, in the container
	ReadOnly bool
	Live     bool // with ReadOnly: as it is, without a snapshot
}

// mountError is what is wrong with SOURCE:TARGET[:ro[,live]].
type mountError struct {
	text, msg, mend string
}

func (e *mountError) Error() string { return fmt.Sprintf("%q: %s", e.text, e.msg) }

// Hint says what to do next.
func (e *mountError) Hint() string { return e.mend }

func hintOf(err error) string {
	if e, ok := errors.AsType[*mountError](err); ok {
		return e.mend
	}
	return ""
}

// parseMount reads SOURCE:TARGET[:ro[,live]], of -v and of mounts. A relative SOURCE is
// seen from base; ~ is the home folder. The source must exist: an engine would
// make an empty folder of a misspelt one.
func parseMount(base, text string) (mount, error) {
	fail := func(mend, format string, args ...any) (mount, error) {
		return mount{}, &mountError{text, fmt.Sprintf(format, args...), mend}
	}
	const form = "write SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:ro,live"
	fields := strings.Split(text, ":")
	if len(fields) < 2 || len(fields) > 3 || fields[0] == "" || fields[1] == "" {
		return fail(form, "is not SOURCE:TARGET[:ro[,live]]")
	}
	m := mount{Target: path.Clean(fields[1])}
	if len(fields) == 3 {
		for option := range strings.SplitSeq(fields[2], ",") {
			switch option {
			case "ro":
				m.ReadOnly = true
			case "rw":
			case "live":
				m.Live = true
			default:
				return fail(form, "unknown option %q", option)
			}
		}
	}
	if m.Live && !m.ReadOnly {
		return fail("write :ro,live; without ro a mount is as it is, and its content does not count", "live goes with ro")
	}
	if !path.IsAbs(m.Target) || m.Target == "/" {
		return fail("the target is a path in the container, like /app", "the target %q is not an absolute path below /", fields[1])
	}
	m.Source = fields[0]
	if rest, ok := strings.CutPrefix(m.Source, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := os.UserHomeDir()
		if err != nil {
			return fail("", "the home folder is not known: %s", err)
		}
		m.Source = home + rest
	}
	m.Source = relativeTo(base, m.Source)
	if _, err := os.Stat(m.Source); err != nil {
		return fail("name a folder or a file that exists", "the source %s: %s", m.Source, pathCause(err))
	}
	return m, nil
}
