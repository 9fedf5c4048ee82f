package dag

import (
	"regexp"
	"strings"
)

// raised finds in a step's log the exception that ended a Python program: the
// line after the last traceback. A failure then says what went wrong instead of
// only its exit code.
type raised struct {
	inTraceback bool
	last        string
}

// exception is how Python writes one: its type, and what it says.
var exception = regexp.MustCompile(`^[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning|Failure)(: .*)?$`)

func (r *raised) line(text []byte) {
	switch s := strings.TrimRight(string(text[:min(len(text), 500)]), "\r"); {
	case strings.HasPrefix(s, "Traceback (most recent call last):"):
		r.inTraceback = true
	case r.inTraceback && exception.MatchString(s):
		r.last, r.inTraceback = s, false
	}
}
