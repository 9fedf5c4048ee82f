package dag

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/runner/logfile"
)

// Artifacts is what the driver needs of the artifact store.
type Artifacts interface {
	// Add hashes the file or directory at path where it lies and brings it into
	// the store. It can be repeated.
	Add(ctx context.Context, path string) (digest string, size int64, err error)
	// Path returns where the object lies; fs.ErrNotExist when it is gone.
	Path(digest string) (string, error)
	// Check returns an error unless the object is there and sound, fs.ErrNotExist
	// when it is gone. One that is damaged is gone afterwards.
	Check(ctx context.Context, digest string) error
	// View makes a tree of links to a stored directory at the path at, which it
	// makes, for one step alone, and watches which files are opened there. ErrNoView
	// where that can't be.
	View(ctx context.Context, digest, at string) (View, error)
	// ReadDigest stands for a stored directory as far as it was read: the names of
	// all entries, and the content of the opened files.
	ReadDigest(ctx context.Context, digest string, opened []string) (string, error)
	// Files returns the digests of the files of a stored directory, by path; of a
	// stored file its own, by ".".
	Files(ctx context.Context, digest string) (map[string]string, error)
	// LiveDigest stands for what lies in a live mount now: names, sizes, times.
	LiveDigest(ctx context.Context, mounts []Mount, i int) (string, error)
	// LiveChanges says what differs between two lists of a live mount, by their
	// digests; fs.ErrNotExist where one is gone.
	LiveChanges(ctx context.Context, before, now string) ([]LiveChange, error)
	// Link leaves a symbolic link to the object at a path, for people.
	Link(digest, at string) error
	// Import brings in a file or directory of this machine.
	Import(ctx context.Context, uri string) (digest string, size int64, err error)
	// Context stands for the folder that an image is built from, without what its
	// .dockerignore names.
	Context(ctx context.Context, dir, dockerfile string) (digest string, err error)
	// Fetch brings in what a URI names elsewhere, see RemoteSchemes. progress is told
	// how many bytes have come and, unless 0, of how many.
	Fetch(ctx context.Context, uri string, progress func(done, total int64)) (digest string, size int64, err error)
}

// maxParameter is the largest output parameter that is read, in bytes.
const maxParameter = 64 << 20

// collector is the sink of one attempt. It is used by one goroutine.
type collector struct {
	ctx       context.Context
	artifacts Artifacts
	log       *logfile.Writer
	values    map[string]string // parameter:<origin>:<name> -> content
	stored    map[string]Artifact
	executor  *executorResult
	raised    raised
}

// Output takes one output that exists.
func (c *collector) Output(name, path string) error {
	switch {
	case name == outExecutor:
		var err error
		c.executor, err = readExecutorOutput(path)
		return err
	case strings.HasPrefix(name, outArtifact):
		digest, size, err := c.artifacts.Add(c.ctx, path)
		if err != nil {
			return fmt.Errorf("output artifact %q: %w", strings.TrimPrefix(name, outArtifact), err)
		}
		c.stored[strings.TrimPrefix(name, outArtifact)] = Artifact{Digest: digest, Size: size}
		return nil
	}
	text, err := readParameter(path)
	if err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	c.values[name] = text
	return nil
}

// Line appends one line to the attempt's log.
func (c *collector) Line(l runner.Line) error {
	c.raised.line(l.Text)
	return c.log.Line(l)
}

func readParameter(path string) (string, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("is not a file")
	case info.Size() > maxParameter:
		return "", fmt.Errorf("%s is more than a parameter may hold (%s); hand it on as an artifact", FormatBytes(info.Size()), FormatBytes(maxParameter))
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// outputs returns what the attempt handed on. A declared output parameter that
// it did not write is an error; an artifact that it did not write is not.
func (c *collector) outputs(r render) (Values, error) {
	v := Values{Parameters: map[string]any{}, Artifacts: map[string][]Artifact{}}
	for _, name := range sortedKeys(r.node.comp.Outputs.Parameters) {
		x, err := c.parameter(r, name)
		if err != nil {
			return v, err
		}
		v.Parameters[name] = x
	}
	for _, name := range sortedKeys(r.node.comp.Outputs.Artifacts) {
		list := c.handedOver(r, name)
		if came := r.cameAs(name, list[0].Digest); came != nil {
			list = []Artifact{*came}
		}
		v.Artifacts[name] = list
	}
	return v, nil
}

// cameAs returns the input artifact that a directory was filled with, if the
// container has left it as it was: then it is handed on, not made anew.
func (r render) cameAs(output, digest string) *Artifact {
	for _, d := range r.node.comp.Pod.Directories {
		if d.Name != output {
			continue
		}
		var from []Artifact
		for _, input := range d.From {
			from = append(from, r.inputs().Artifacts[input]...)
		}
		if len(from) == 1 && from[0].Digest == digest {
			return &from[0]
		}
	}
	return nil
}

func (c *collector) parameter(r render, name string) (any, error) {
	o := r.node.comp.Outputs.Parameters[name]
	if c.executor != nil {
		if x, ok := c.executor.parameters[name]; ok {
			x, err := Coerce(x, o.Type)
			if err != nil {
				return nil, fmt.Errorf("output parameter %q %w", name, err)
			}
			return x, nil
		}
	}
	for i, path := range r.originPaths(name) {
		text, ok := c.values[fmt.Sprintf("%s%d:%s", outParameter, i, name)]
		if path == "" {
			var err error
			if text, err = r.text(o.From[i].Text); err != nil {
				return nil, fmt.Errorf("output parameter %q: %w", name, err)
			}
		} else if !ok {
			continue
		}
		x, err := ParseText(text, o.Type)
		if err != nil {
			return nil, fmt.Errorf("output parameter %q %w", name, err)
		}
		return x, nil
	}
	return nil, &OutputMissingError{Name: name, Tried: r.tried(name)}
}

func (r render) tried(name string) []string {
	var tried []string
	for _, path := range r.originPaths(name) {
		tried = append(tried, filepath.Base(path))
		if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, r.dir) {
			tried[len(tried)-1] = path
		}
	}
	return tried
}

// OutputMissingError says that a step ended well and left a declared output
// parameter unwritten.
type OutputMissingError struct {
	Name  string
	Tried []string // files that were looked for
}

func (e *OutputMissingError) Error() string {
	return fmt.Sprintf("the step ended well but did not write its output parameter %q (looked for %s)", e.Name, strings.Join(e.Tried, ", "))
}

// Hint says what to do next.
func (e *OutputMissingError) Hint() string {
	return "return a value from the component, or write the file that the output's placeholder names"
}
