package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/dag/source"
)

// projectFile is the name of the file that says what the pipelines beside and
// below it need of this machine.
const projectFile = "wherry.yaml"

// project is a wherry.yaml. The zero value is that of a folder without one.
type project struct {
	Images map[string]string    `yaml:"images"` // what an image name in a pipeline means here
	Build  map[string]buildSpec `yaml:"build"`  // images that wherry builds, by name
	Mounts []mount              `yaml:"-"`      // from mounts
	Env    map[string]string    `yaml:"env"`    // variables of every step
	Params map[string]any       `yaml:"params"` // values of the pipeline's parameters
	Trust  string               `yaml:"-"`      // from trust: absolute path of a CA bundle (PEM)

	Secrets    []given.Ref `yaml:"-"` // from secrets
	ConfigMaps []given.Ref `yaml:"-"` // from configMaps

	File string `yaml:"-"` // where it was read; "" where there is none

	MountTexts []yaml.Node `yaml:"mounts"`
	TrustNode  yaml.Node   `yaml:"trust"`

	Trials map[string]yaml.Node `yaml:"trials"` // what trials run, by the experiment's name
	Watch  watchEntries         `yaml:"watch"`  // what wherry up keeps running with each save

	SecretSources    map[string]givenSource `yaml:"secrets"`
	ConfigMapSources map[string]givenSource `yaml:"configMaps"`

	Pos map[string]source.Pos `yaml:",posof"` // of each field's value
}

// buildSpec is an image that wherry builds: a base with Python requirements, or
// a context directory with a Dockerfile. Paths are absolute.
type buildSpec struct {
	Base         string       `yaml:"base"`
	Requirements requirements `yaml:"requirements"`
	Context      string       `yaml:"context"`
	Dockerfile   string       `yaml:"dockerfile"`

	Pos source.Pos `yaml:",pos"`
}

// requirements are pip's, given as a list or as the name of a file.
type requirements struct {
	List []string
	File string // absolute, once the project is read; its lines are in List
	Pos  source.Pos
}

// UnmarshalSource implements source.Unmarshaler.
func (r *requirements) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	r.Pos = source.PosOf(n)
	if n.Kind == yaml.ScalarNode {
		r.File = n.Value
		if n.Tag == "!!null" {
			r.File = ""
		}
		return nil
	}
	return d.Decode(n, &r.List)
}

// laterFields are those that DESIGN names and later versions bring.
var laterFields = []string{"quotas", "schedules", "backends", "notify"}

// findProject reads the wherry.yaml of dir or of the nearest folder above it.
// Where there is none, the project is empty.
func findProject(dir string) (*project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for d := abs; ; d = filepath.Dir(d) {
		path := filepath.Join(d, projectFile)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			return readProject(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		if d == filepath.Dir(d) {
			return &project{}, nil
		}
	}
}

// readProject reads the wherry.yaml at path. Errors are *source.Error.
func readProject(path string) (*project, error) {
	p := &project{File: path}
	if blankFile(path) {
		return p, nil
	}
	f, err := source.Read(path)
	if err != nil {
		return nil, err
	}
	f.Name = relativeName(path)
	docs, err := f.Documents()
	if err != nil {
		return nil, err
	}
	if len(docs) > 1 {
		return nil, f.Errorf(source.PosOf(docs[1]), "a second document: %s is one", projectFile)
	}
	if err := refuseLater(f, docs[0]); err != nil {
		return nil, err
	}
	if err := f.Decode(docs[0], p); err != nil {
		return nil, err
	}
	if err := p.complete(f); err != nil {
		return nil, err
	}
	return p, nil
}

// blankFile reports whether the file says nothing: `wherry init` may write one that
// is only comments.
func blankFile(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			return false
		}
	}
	return true
}

// relativeName returns path relative to the working directory where that is a path
// below it.
func relativeName(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

func refuseLater(f *source.File, doc *yaml.Node) error {
	if doc.Kind != yaml.MappingNode {
		return nil // the decoder says so
	}
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if key := doc.Content[i]; slices.Contains(laterFields, key.Value) {
			return f.Errorf(source.PosOf(key), "%q is not supported yet", key.Value).
				WithMend("take it out; this version reads images, build, mounts, env, secrets, configMaps, params, trials, trust and watch")
		}
	}
	return nil
}

// complete checks what was read and makes its paths absolute.
func (p *project) complete(f *source.File) error {
	base := filepath.Dir(p.File)
	for i := range p.MountTexts {
		n := &p.MountTexts[i]
		if n.Kind != yaml.ScalarNode {
			return f.Errorf(source.PosOf(n), "a mount is text: SOURCE:TARGET[:ro[,live]]")
		}
		m, err := parseMount(base, n.Value)
		if err != nil {
			return f.Errorf(source.PosOf(n), "mounts: %s", err).WithMend("%s", hintOf(err))
		}
		if slices.ContainsFunc(p.Mounts, func(o mount) bool { return o.Target == m.Target }) {
			return f.Errorf(source.PosOf(n), "mounts: two at %s", m.Target)
		}
		p.Mounts = append(p.Mounts, m)
	}
	if n := &p.TrustNode; n.Value != "" {
		p.Trust = relativeTo(base, n.Value)
		if err := checkPEM(p.Trust); err != nil {
			return f.Errorf(source.PosOf(n), "trust: %s", err)
		}
	} else if n.Kind != 0 && n.Tag != "!!null" {
		return f.Errorf(source.PosOf(n), `"trust" must be the path of a PEM file`)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Build)) {
		b := p.Build[name]
		if err := b.complete(f, base, name); err != nil {
			return err
		}
		p.Build[name] = b
	}
	var err error
	if p.Secrets, err = refs(f, base, "secrets", p.SecretSources); err != nil {
		return err
	}
	if p.ConfigMaps, err = refs(f, base, "configMaps", p.ConfigMapSources); err != nil {
		return err
	}
	if err = p.completeWatches(f, base); err != nil {
		return err
	}
	return p.checkAliases(f)
}

// checkAliases refuses images that stand for each other in a circle.
func (p *project) checkAliases(f *source.File) error {
	for _, name := range slices.Sorted(maps.Keys(p.Images)) {
		seen := map[string]bool{}
		for at := name; p.Images[at] != ""; at = p.Images[at] {
			if seen[at] {
				return f.Errorf(p.Pos["images"], "images: %q stands for itself", name)
			}
			seen[at] = true
		}
	}
	return nil
}

// image returns what an image named in a pipeline means here, and how to build
// it where this project builds it. An alias may name another.
func (p *project) image(name string) (string, *buildSpec) {
	for p.Images[name] != "" {
		name = p.Images[name]
	}
	if b, ok := p.Build[name]; ok {
		return name, &b
	}
	return name, nil
}

// relativeTo returns path as seen from base.
func relativeTo(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}
