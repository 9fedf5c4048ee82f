package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// imageBins are the folders in which images keep their interpreters.
var imageBins = []string{"/usr/bin", "/usr/local/bin", "/bin", "/opt/conda/bin", "/opt/venv/bin"}

// argv is the command line of c. What only the image could make work is refused.
// known reports whether a path is one that the pod brings along.
func argv(c runner.Container, known func(string) bool) ([]string, error) {
	field := func(name string) string { return fmt.Sprintf("container %q: %s", c.Name, name) }
	if len(c.Command) == 0 {
		return nil, unsupported(field("no command"),
			"it relies on the entrypoint of image %q, and images aren't run here: give it a command", c.Image)
	}
	words := slices.Concat(c.Command, c.Args)
	if isInterpreter(words[0]) {
		words[0] = filepath.Base(words[0])
	}
	there := func(path string) bool {
		if !filepath.IsAbs(path) || known(path) {
			return true
		}
		_, err := os.Stat(path)
		return err == nil
	}
	if !there(words[0]) {
		return nil, unsupported(field("command "+words[0]), "it is a path of image %q, and this host has no such file", c.Image)
	}
	if script := scriptOf(words); script != "" && !there(script) {
		return nil, unsupported(field("script "+script), "it is a path of image %q, and this host has no such file", c.Image)
	}
	return words, nil
}

// isInterpreter reports whether path is where an image keeps Python or pip: the
// one of the environment stands for it.
func isInterpreter(path string) bool {
	switch filepath.Base(path) {
	case "python", "python3", "pip", "pip3":
		return slices.Contains(imageBins, filepath.Dir(path))
	}
	return false
}

// scriptOf returns the file that an interpreter is asked to run, if words say so.
func scriptOf(words []string) string {
	program := filepath.Base(words[0])
	python := strings.HasPrefix(program, "python")
	if !python && !slices.Contains([]string{"sh", "bash", "dash"}, program) {
		return ""
	}
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--":
			return strings.Join(words[i+1:min(i+2, len(words))], "")
		case !strings.HasPrefix(w, "-") || w == "-":
			return w
		case strings.HasPrefix(w, "--"):
			continue
		case strings.Contains(w, "c") || python && strings.Contains(w, "m"):
			return "" // a program or a module, not a file
		case w == "-W" || w == "-X" || w == "-o" || w == "-O" && !python:
			i++
		}
	}
	return ""
}

// Whether a command line uses Python and its installer.
type usesPython struct{ python, pip bool }

// uses looks for the names of Python and of its installers in words, also within
// a shell's program.
func uses(words []string) usesPython {
	var u usesPython
	for _, w := range words {
		u.pip = u.pip || mentions(w, "pip") || mentions(w, "ensurepip")
		u.python = u.python || u.pip || mentions(w, "python") || strings.HasSuffix(w, ".py")
	}
	return u
}

// mentions reports whether text holds name as a word, or with a version after it.
func mentions(text, name string) bool {
	letter := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z' || text[i] == '_')
	}
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		i += at
		if !letter(i-1) && !letter(i+len(name)) {
			return true
		}
		at = i + len(name)
	}
}
