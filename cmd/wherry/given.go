package main

import (
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/given"
	"github.com/wherry-ml/wherry/dag/source"
)

// givenHelp says what a secret or config map can be made of; part of run's help.
const givenHelp = `Secrets and config maps that a pipeline names are given by --secret and --config-map,
or by secrets and configMaps in wherry.yaml. NAME=FILE takes the keys of an .env file,
of a YAML or JSON mapping or of a Kubernetes manifest; of any other file, one key of its
name. NAME=DIR takes each file as a key, NAME/KEY=FILE one key, NAME=env:VAR and
NAME/KEY=env:VAR the value of a variable. Only where a value comes from is stored.`

// givenSource is one entry of secrets or configMaps in wherry.yaml: a source with
// all keys, or a source for each key.
type givenSource struct {
	Pos  source.Pos
	All  string
	Keys map[string]string
}

// UnmarshalSource implements source.Unmarshaler.
func (s *givenSource) UnmarshalSource(d *source.Decoder, n *yaml.Node) error {
	s.Pos = source.PosOf(n)
	if n.Kind == yaml.ScalarNode {
		s.All = n.Value
		return nil
	}
	return d.Decode(n, &s.Keys)
}

// refs returns where the entries of a section of wherry.yaml come from.
func refs(f *source.File, base, section string, entries map[string]givenSource) ([]given.Ref, error) {
	var out []given.Ref
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		from := e.Keys
		if from == nil {
			from = map[string]string{"": e.All}
		}
		for _, key := range slices.Sorted(maps.Keys(from)) {
			r, err := given.New(base, name, key, from[key])
			if err != nil {
				return nil, f.Errorf(e.Pos, "%s: %s", section, err).WithMend("%s: FILE, DIR or env:VARIABLE", name)
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// mergeGiven adds what a flag says to what wherry.yaml says; a flag with a whole
// secret replaces that of the file.
func mergeGiven(flag string, project []given.Ref, texts []string) ([]given.Ref, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	out := slices.Clone(project)
	for _, text := range texts {
		r, err := given.Parse(cwd, text)
		if err != nil {
			return nil, &usageError{msg: flag + " " + err.Error(), mend: flag + " NAME=FILE, NAME/KEY=FILE or NAME/KEY=env:VARIABLE"}
		}
		if r.Key == "" {
			out = slices.DeleteFunc(out, func(other given.Ref) bool { return other.Name == r.Name && slices.Contains(project, other) })
		}
		out = append(out, r)
	}
	return out, nil
}
