package kfp

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// preamble is what the SDK's components do before their own command: they install
// packages by pip.
type preamble struct {
	installs [][]string // arguments of each "pip install", without those that only say how it talks
	venv     bool       // into a virtual environment over the image's own packages
}

// The parts of the SDK's script that are not pip's (kfp/dsl/component_factory.py).
var (
	// What comes last: $0 and the rest are the words after the script.
	tailForm = regexp.MustCompile(`\s*&&\s*"\$0"\s+"\$@"\s*$`)
	// An image without pip gets it.
	headForm = regexp.MustCompile(`^\s*if\s+!\s+\[\s+-x\s+"\$\(command\s+-v\s+pip\)"\s+\];\s+then\s+` +
		`python3\s+-m\s+ensurepip\s+\|\|\s+python3\s+-m\s+ensurepip\s+--user\s+\|\|\s+apt-get\s+install\s+python3-pip\s+fi\s*\n`)
	// use_venv=True, from 2.11 on.
	venvForm = regexp.MustCompile(`\n\s*export\s+PIP_DISABLE_PIP_VERSION_CHECK=1\s*\n\s*tmp=\$\(mktemp\s+-d\)\s*\n` +
		`\s*python3\s+-m\s+venv\s+"\$tmp/venv"\s+--system-site-packages\s*\n\s*\.\s+"\$tmp/venv/bin/activate"\s*\n`)
	// Version 1 tries again for the user alone.
	twiceForm = regexp.MustCompile(`(?s)^\s*\((.*)\)\s*$`)
)

// findPreamble reads the script of a command like
//
//	sh -c '… python3 -m pip install … && "$0" "$@"' sh -ec …
//
// whose own command begins with its fourth word. Nothing but what the SDK writes
// is recognised: a script that does anything else, or installs what only the
// container will have (a path, a placeholder), runs as it is written.
func findPreamble(command []text) (preamble, bool) {
	if len(command) < 4 || !isShell(command[0].Value) || command[1].Value != "-c" {
		return preamble{}, false
	}
	script := command[2].Value
	tail := tailForm.FindStringIndex(script)
	if tail == nil || strings.Contains(script, "{{") {
		return preamble{}, false
	}
	script = script[:tail[0]]
	if head := headForm.FindStringIndex(script); head != nil {
		script = script[head[1]:]
	}
	var p preamble
	if at := venvForm.FindStringIndex(script); at != nil {
		p.venv = true
		script = script[:at[0]] + " " + script[at[1]:]
	}
	if m := twiceForm.FindStringSubmatch(script); m != nil {
		script = onceOf(m[1])
	}
	ok := p.readInstalls(script)
	return p, ok
}

func isShell(word string) bool {
	return slices.Contains([]string{"sh", "bash"}, path.Base(word)) && (path.Base(word) == word || path.IsAbs(word))
}

// onceOf returns A of "A || A --user", and "" for anything else.
func onceOf(script string) string {
	once, again, ok := strings.Cut(script, " || ")
	if !ok || strings.TrimSpace(again) != strings.TrimSpace(once)+" --user" {
		return ""
	}
	return once
}

// readInstalls reads "pip install … && pip install …".
func (p *preamble) readInstalls(script string) bool {
	commands, ok := shellCommands(script)
	if !ok {
		return false
	}
	for _, words := range commands {
		args, ok := pipInstall(words)
		if !ok {
			return false
		}
		if args, ok = plainInstall(args); !ok {
			return false
		}
		p.installs = append(p.installs, args)
	}
	return len(p.installs) > 0
}

// pipInstall returns the arguments of a pip install.
func pipInstall(words []string) ([]string, bool) {
	if len(words) > 0 && words[0] == "PIP_DISABLE_PIP_VERSION_CHECK=1" {
		words = words[1:]
	}
	for _, begin := range [][]string{
		{"python3", "-m", "pip", "install"}, {"python", "-m", "pip", "install"}, {"pip3", "install"}, {"pip", "install"},
	} {
		if len(words) > len(begin) && slices.Equal(words[:len(begin)], begin) {
			return words[len(begin):], true
		}
	}
	return nil, false
}
