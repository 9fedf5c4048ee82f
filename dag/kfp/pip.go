package kfp

import (
	"regexp"
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// silentOptions are those of pip's options that don't decide what is installed.
var silentOptions = []string{
	"-q", "--quiet", "-qq", "-v", "--verbose", "--no-warn-script-location", "--disable-pip-version-check", "--no-cache-dir",
	"--no-input", "--no-warn-conflicts", "--no-color",
}

// plainOptions are options without a value that a layer can honour. -U is none: it
// asks for what is the newest at each start.
var plainOptions = []string{
	"--no-deps", "--pre", "--force-reinstall", "-I", "--ignore-installed", "--no-build-isolation",
	"--use-pep517", "--prefer-binary", "--no-index", "--require-hashes", "--break-system-packages", "--ignore-requires-python",
	"--no-compile", "--compile",
}

// fileOptions name files, which only the step has.
var fileOptions = []string{"-r", "--requirement", "-c", "--constraint"}

// takesValue reports whether an option that a layer can honour has a value.
func takesValue(option string) bool {
	return runner.PipTakesValue(option) && !slices.Contains(fileOptions, option)
}

// plainInstall returns pip's arguments without the silent ones; false where one
// can't be honoured away from the step: an unknown option, a path, which a mount may
// bring, or the branch of a repository, which moves.
func plainInstall(args []string) (out []string, ok bool) {
	packages := 0
	for i := 0; i < len(args); i++ {
		w := args[i]
		name, value, joined := strings.Cut(w, "=")
		switch {
		case slices.Contains(silentOptions, w):
		case slices.Contains(plainOptions, w):
			out = append(out, w)
		case joined && strings.HasPrefix(name, "--") && takesValue(name) && !isPath(value):
			out = append(out, w)
		case takesValue(w) && i+1 < len(args) && !isPath(args[i+1]):
			i++
			out = append(out, w, args[i])
		case strings.HasPrefix(w, "-") || w == "" || isPath(w) || moves(w):
			return nil, false
		default:
			packages++
			out = append(out, w)
		}
	}
	return out, packages > 0
}

// vcsForm is a requirement from a repository; its revision is after the last @ of the
// path.
var vcsForm = regexp.MustCompile(`^(?:[^@]*@\s*)?(?:git|hg|svn|bzr)\+[A-Za-z0-9+.-]+:(.*)$`)

// commitForm is a whole commit: nothing else of a repository stays what it is.
var commitForm = regexp.MustCompile(`@(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// moves reports whether a requirement names a branch or a tag of a repository, or
// nothing of it.
func moves(w string) bool {
	m := vcsForm.FindStringSubmatch(strings.TrimSpace(w))
	if m == nil {
		return false
	}
	at, _, _ := strings.Cut(m[1], "#")
	at, _, _ = strings.Cut(at, ";") // a marker
	return !commitForm.MatchString(strings.TrimSpace(at))
}

// isPath reports whether a package or a value names a file or a folder.
func isPath(w string) bool {
	_, url, named := strings.Cut(w, "@") // name @ file:///…
	if named && strings.HasPrefix(strings.TrimSpace(url), "file:") {
		return true
	}
	if strings.HasPrefix(w, ".") || strings.HasPrefix(w, "/") || strings.HasPrefix(w, "~") || strings.HasPrefix(w, "file:") || strings.Contains(w, "+file:") {
		return true
	}
	if strings.Contains(w, "://") {
		return false
	}
	spec, _, _ := strings.Cut(w, ";") // a marker may hold a slash
	return strings.ContainsAny(spec, `/\`) || strings.HasSuffix(spec, ".whl") || strings.HasSuffix(spec, ".tar.gz") || strings.HasSuffix(spec, ".zip")
}

// shellCommands splits a script of simple commands that are joined by && into
// their words. false where it holds anything that a shell would do more with:
// expansions, redirections, other operators, line ends between commands.
func shellCommands(script string) (commands [][]string, ok bool) {
	var words []string
	s := strings.TrimSpace(script)
	for {
		s = strings.TrimLeft(s, " \t")
		switch {
		case strings.HasPrefix(s, "\\\n"):
			s = s[2:]
		case s == "":
			return append(commands, words), len(words) > 0
		case strings.HasPrefix(s, "&&"):
			if len(words) == 0 {
				return nil, false
			}
			commands, words = append(commands, words), nil
			s = strings.TrimLeft(s[2:], " \t\n")
		default:
			word, rest, ok := shellWord(s)
			if !ok {
				return nil, false
			}
			words, s = append(words, word), rest
		}
	}
}

// shellSpecial are the bytes that mean something to a shell outside quotes.
const shellSpecial = "$`*?[]{}()<>|&;\n\r"

// shellFirst are those that do where a word begins.
const shellFirst = "#~!"

// shellWord reads one word of a shell's command.
func shellWord(s string) (word, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return "", "", false
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 1
		case c == '"':
			end := strings.IndexByte(s[i+1:], '"')
			if end < 0 || strings.ContainsAny(s[i+1:i+1+end], "$`\\") {
				return "", "", false
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 1
		case c == ' ' || c == '\t' || c == '&' && strings.HasPrefix(s[i:], "&&"):
			return b.String(), s[i:], true
		case c == '\\' && strings.HasPrefix(s[i:], "\\\n"):
			return b.String(), s[i:], true
		case c == '\\', c == 0, strings.IndexByte(shellSpecial, c) >= 0, i == 0 && strings.IndexByte(shellFirst, c) >= 0:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", true
}
