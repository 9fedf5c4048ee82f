package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/wherry-ml/wherry/runner"
)

// Names of what we add to a build's context.
const (
	dockerfileName = ".wherry.Dockerfile"
	caName         = ".wherry-ca.pem"
)

// writeContext writes a build's context: the person's directory with their
// Dockerfile.
func writeContext(w *tar.Writer, spec runner.BuildSpec) error {
	dockerfile, err := readDockerfile(spec)
	if err == nil {
		err = writeDir(w, spec.Context)
	}
	if err == nil {
		err = writeBytes(w, dockerfileName, []byte(dockerfile))
	}
	if err != nil || spec.CABundle == "" {
		return err
	}
	pem, err := os.ReadFile(spec.CABundle)
	if err != nil {
		return fmt.Errorf("CA bundle: %w", err)
	}
	return writeBytes(w, caName, pem)
}

func readDockerfile(spec runner.BuildSpec) (string, error) {
	file := spec.Dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	root, err := os.OpenRoot(spec.Context)
	if err != nil {
		return "", err
	}
	defer root.Close()
	data, err := root.ReadFile(file)
	if err != nil {
		return "", err
	}
	if spec.CABundle != "" {
		return trustCA(string(data)), nil
	}
	return string(data), nil
}

var fromLine = regexp.MustCompile(`(?im)^[ \t]*FROM[ \t]+(--platform=\S+[ \t]+)?\S+([ \t]+AS[ \t]+\S+)?[ \t]*\r?$`)

// trustCA makes every stage of a Dockerfile trust the bundle: its file stays in
// the image, where containers find it as well; the variables hold for the build.
func trustCA(dockerfile string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nCOPY %s %s", caName, caPath)
	for _, name := range []string{"PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} {
		fmt.Fprintf(&b, "\nARG %s=%s", name, caPath)
	}
	return fromLine.ReplaceAllString(dockerfile, "${0}"+b.String())
}

// writeDir writes a directory, without what its .dockerignore names.
func writeDir(w *tar.Writer, dir string) error {
	ignored, err := readIgnore(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil || rel == "." {
			return err
		}
		skip, err := ignored.MatchesOrParentMatches(filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		if skip {
			if d.IsDir() && !ignored.Exclusions() {
				return filepath.SkipDir
			}
			return nil
		}
		return writeEntry(w, file, filepath.ToSlash(rel), false)
	})
}

func readIgnore(dir string) (*patternmatcher.PatternMatcher, error) {
	data, err := os.ReadFile(filepath.Join(dir, ".dockerignore"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, ".dockerignore"), err)
	}
	return patternmatcher.New(patterns)
}

func writeBytes(w *tar.Writer, name string, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}
