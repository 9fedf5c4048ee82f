package fetch

import (
	"os"
	"path/filepath"
	"strings"
)

// netrc returns the login and password for a host from $NETRC, else ~/.netrc: those
// of its machine entry, else of the default one. false: there are none.
func (j *job) netrc(host string) (login, password string, ok bool) {
	name := j.getenv("NETRC")
	if name == "" {
		home := j.getenv("HOME")
		if home == "" {
			return "", "", false
		}
		name = filepath.Join(home, ".netrc")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", "", false
	}
	return lookUpNetrc(string(text), host)
}

func lookUpNetrc(text, host string) (login, password string, ok bool) {
	words := netrcWords(text)
	here := false // in an entry that fits
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "machine", "default":
			if here {
				return login, password, true
			}
			if here = words[i] == "default" || strings.EqualFold(next, host); words[i] == "machine" {
				i++
			}
		case "login", "password", "account":
			if here && words[i] == "login" {
				login = next
			} else if here && words[i] == "password" {
				password = next
			}
			i++
		}
	}
	return login, password, here
}

// netrcWords are the words of a netrc file without its comments and macros; a word in
// double quotes may have spaces.
func netrcWords(text string) (words []string) {
	macro := false // until an empty line
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if macro = macro && line != ""; macro || strings.HasPrefix(line, "#") {
			continue
		}
		for line != "" {
			word, rest := line, ""
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				word, rest = line[:i], line[i:]
			}
			if strings.HasPrefix(line, `"`) {
				word, rest, _ = strings.Cut(line[1:], `"`)
			}
			if word == "macdef" {
				macro = true
				break
			}
			words = append(words, word)
			line = strings.TrimSpace(rest)
		}
	}
	return words
}
