package kfp

import (
	"slices"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// pipOptions are those of pip's options whose value is the next word.
var pipOptions = []string{
	"-i", "--index-url", "--extra-index-url", "--trusted-host", "-f", "--find-links", "-c", "--constraint",
	"-r", "--requirement", "-t", "--target", "--prefix", "--root", "--proxy", "--cert", "--client-cert",
	"--timeout", "--retries", "--cache-dir", "--platform", "--python-version", "--implementation", "--abi",
	"--only-binary", "--no-binary", "--progress-bar", "--config-settings", "--src",
}

// requirements returns the packages that the SDK's preamble installs before it
// runs "$0" "$@"; nil where the command is none of the SDK's.
func requirements(command []text) runner.Requirements {
	var found runner.Requirements
	for _, c := range command {
		if !strings.Contains(c.Value, `"$0" "$@"`) {
			continue
		}
		rest := c.Value
		for {
			_, after, ok := strings.Cut(rest, "pip install ")
			if !ok {
				break
			}
			words, length := shellWords(after)
			for _, p := range packages(words) {
				if !slices.Contains(found, p) {
					found = append(found, p)
				}
			}
			rest = after[length:]
		}
	}
	return found
}

// packages drops pip's options and their values.
func packages(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case slices.Contains(pipOptions, w):
			i++
		case strings.HasPrefix(w, "-") || w == "":
		default:
			out = append(out, w)
		}
	}
	return out
}

// shellWords splits one simple shell command into words and returns its length
// in bytes: up to a newline or an operator that is not quoted.
func shellWords(s string) (words []string, length int) {
	var word strings.Builder
	inWord := false
	quote := byte(0)
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] != '\n' {
				word.WriteByte(s[i])
				inWord = true
			}
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			end()
		case strings.IndexByte("\n;&|()<>", c) >= 0:
			end()
			return words, i
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	return words, len(s)
}
