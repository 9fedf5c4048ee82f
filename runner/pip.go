package runner

import (
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/redact"
)

// LayerError says that pip could not install what a layer holds.
type LayerError struct {
	Packages []string
	On       string   // the image, or the interpreter
	Lines    []string // what pip said last
	Mend     string
}

// NewLayerError is the error of a layer whose installation printed output.
func NewLayerError(l *Layer, on string, output []string) *LayerError {
	return &LayerError{Packages: l.Packages(), On: on, Lines: tellingLines(output), Mend: pipMend(strings.Join(output, "\n"))}
}

func (e *LayerError) Error() string {
	text := fmt.Sprintf("install %s on %s: pip failed", strings.Join(e.Packages, " "), e.On)
	if len(e.Lines) > 0 {
		text += "\n  " + strings.Join(e.Lines, "\n  ")
	}
	return text
}

// Hint says what to do next.
func (e *LayerError) Hint() string { return e.Mend }

// tellingCount is how many of pip's last lines an error shows.
const tellingCount = 12

// tellingLines are the last lines of pip's output, without what says nothing
// about the failure.
func tellingLines(output []string) []string {
	var lines []string
	for _, line := range output {
		line = redact.Text(line)
		text := strings.TrimSpace(line)
		noise := text == "" || strings.HasPrefix(text, "[notice]") || strings.HasPrefix(text, "WARNING: Running pip as") ||
			strings.HasPrefix(text, "hint: See above") || strings.HasPrefix(text, "note: This error originates")
		if retries(text) && len(lines) > 0 && retries(strings.TrimSpace(lines[len(lines)-1])) {
			lines = lines[:len(lines)-1] // the last of them says it all
		}
		if !noise && (len(lines) == 0 || lines[len(lines)-1] != line) {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-tellingCount):]
}

func retries(line string) bool { return strings.HasPrefix(line, "WARNING: Retrying") }

// pipMends are what to do about a failure, by what pip says; the first that is
// found counts. Without a network pip ends with "No matching distribution" too.
var pipMends = []struct{ sign, mend string }{
	{"CERTIFICATE_VERIFY_FAILED", "name the certificate of your network in wherry.yaml, trust: FILE.pem"},
	{"Temporary failure in name resolution", offlineMend},
	{"Name or service not known", offlineMend},
	{"NewConnectionError", offlineMend},
	{"Failed to establish a new connection", offlineMend},
	{"ConnectTimeoutError", offlineMend},
	{"Network is unreachable", offlineMend},
	{"Read timed out", offlineMend},
	{"ProxyError", "look at the proxies in ~/.docker/config.json, or those in your environment"},
	{"No space left on device", "make room on the engine's disk: docker system df says what takes it"},
	{"externally-managed-environment", "the image's Python belongs to its system: take another image, or use_venv=True in the component"},
	{"python3: not found", "the image has no Python: take one that has, or leave out the packages"},
	{"No module named pip", "the image has no pip and can't get it: take another, such as python:3.11"},
	{"No matching distribution found", "look at the name and the version: a package may not be there for this Python"},
	{"ResolutionImpossible", "the versions that are asked for exclude each other: loosen one of them"},
	{"Failed building wheel", buildMend},
	{"Failed to build", buildMend},
	{"subprocess-exited-with-error", buildMend},
	{"git: not found", gitMend},
	{"Cannot find command 'git'", gitMend},
}

const (
	offlineMend = "no package index answers: connect to the network once (with the layer made, none is needed), or name another by PIP_INDEX_URL under env: in wherry.yaml"
	buildMend   = "it must be compiled, for want of a ready-made wheel for this Python: ask for another version, or take an image with a compiler"
	gitMend     = "the image has no git: take one that has, such as python:3.11 in place of python:3.11-slim"
)

func pipMend(output string) string {
	for _, m := range pipMends {
		if strings.Contains(output, m.sign) {
			return m.mend
		}
	}
	return "see pip's lines above; wherry run --no-layers runs the command as it is written"
}
