// Package given reads the secrets and config maps that a person gives to a run.
//
// Both are what Kubernetes has under these names: a name with keys, each with a
// value. What is stored of them is where they come from, never a value: it is read
// when a pod is built.
package given

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Ref says where a secret or config map, or one key of it, comes from.
type Ref struct {
	Name string `json:"name"`
	Key  string `json:"key,omitempty"` // empty: From has all keys of it
	From string `json:"from"`          // absolute path of a file or directory, or "env:VARIABLE"
}

// String is how a person writes r.
func (r Ref) String() string {
	if r.Key == "" {
		return r.Name + "=" + r.From
	}
	return r.Name + "/" + r.Key + "=" + r.From
}

// Parse reads NAME=SOURCE or NAME/KEY=SOURCE; a relative path is relative to base.
func Parse(base, text string) (Ref, error) {
	name, from, ok := strings.Cut(text, "=")
	if !ok {
		return Ref{}, fmt.Errorf("%q is not NAME=SOURCE", text)
	}
	name, key, keyed := strings.Cut(name, "/")
	if name == "" || keyed && !goodKey(key) {
		return Ref{}, fmt.Errorf("%q is not NAME=SOURCE or NAME/KEY=SOURCE", text)
	}
	return New(base, name, key, from)
}

// New makes a Ref of its parts, as Parse does.
func New(base, name, key, from string) (Ref, error) {
	variable, isVariable := strings.CutPrefix(from, envPrefix)
	switch {
	case from == "", isVariable && variable == "":
		return Ref{}, fmt.Errorf("%q: its source is empty", name)
	case key != "" && !goodKey(key):
		return Ref{}, fmt.Errorf("%q: %q can't be a key: letters, digits, '-', '_' and '.' are allowed", name, key)
	case !isVariable && !filepath.IsAbs(from):
		from = filepath.Join(base, from)
	}
	return Ref{Name: name, Key: key, From: from}, nil
}

const envPrefix = "env:"

// goodKey reports whether Kubernetes would take key.
func goodKey(key string) bool {
	return key != "" && key != "." && !strings.HasPrefix(key, "..") && len(key) <= 253 &&
		strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// Has reports whether something of this name was given.
func Has(refs []Ref, name string) bool {
	return slices.ContainsFunc(refs, func(r Ref) bool { return r.Name == name })
}

// Read returns the values of name by key; later refs win. An error never holds a
// value. A name that was not given has no keys.
func Read(refs []Ref, name string) (map[string][]byte, error) {
	values := map[string][]byte{}
	for _, r := range refs {
		if r.Name != name {
			continue
		}
		one, err := r.read()
		if err != nil {
			return nil, fmt.Errorf("%q from %s: %w", name, r.From, err)
		}
		maps.Copy(values, one)
	}
	return values, nil
}

func (r Ref) read() (map[string][]byte, error) {
	if variable, ok := strings.CutPrefix(r.From, envPrefix); ok {
		value, ok := os.LookupEnv(variable)
		if !ok {
			return nil, fmt.Errorf("the environment variable %s is not set", variable)
		}
		return map[string][]byte{orElse(r.Key, variable): []byte(value)}, nil
	}
	info, err := os.Stat(r.From)
	switch {
	case err != nil:
		return nil, bare(err)
	case info.IsDir() && r.Key != "":
		return nil, fmt.Errorf("it is a directory, and key %q needs a file", r.Key)
	case info.IsDir():
		return readDir(r.From)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is neither a file nor a directory")
	case info.Size() > maxSize:
		return nil, fmt.Errorf("it has %d bytes; at most %d are taken, as by Kubernetes", info.Size(), maxSize)
	}
	data, err := os.ReadFile(r.From)
	if err != nil {
		return nil, bare(err)
	}
	if r.Key != "" {
		return map[string][]byte{r.Key: data}, nil
	}
	return readKeys(r.From, data)
}

// maxSize is Kubernetes' limit for a secret, in bytes.
const maxSize = 1 << 20

// readDir takes each file of a directory as a key; what begins with a dot is left
// out.
func readDir(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, bare(err)
	}
	values := map[string][]byte{}
	size := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || !goodKey(e.Name()) || e.Name()[0] == '.' {
			continue
		} else if size += int(info.Size()); size > maxSize {
			return nil, fmt.Errorf("its files have more than %d bytes; no more are taken, as by Kubernetes", maxSize)
		}
		if values[e.Name()], err = os.ReadFile(path); err != nil {
			return nil, bare(err)
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("the directory has no files")
	}
	return values, nil
}

// bare is what went wrong, without the path, which the caller names.
func bare(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
