package kfp

import (
	"bytes"
	"errors"
	"strings"

	"github.com/wherry-ml/wherry/dag/cel"
	"github.com/wherry-ml/wherry/dag/source"
)

// checkExpression returns an error at its place for a CEL expression that can't be
// evaluated, whatever the values.
func (t *taskTranslator) checkExpression(what string, e text, check func(string) error) error {
	err := check(e.Value)
	if err == nil {
		return nil
	}
	pos := e.Pos
	if at, ok := errors.AsType[*cel.SyntaxError](err); ok {
		pos = t.inside(e, at.Line, at.Col)
	}
	return t.errorf(pos, "%s: %s: %s", t.about, what, err)
}

// inside returns the place of a character of a string in the file, as far as the
// string stands there as it is: not folded, with nothing escaped. Else it is that
// of the string.
func (t *translator) inside(s text, line, col int) source.Pos {
	lines := bytes.SplitN(t.file.Text, []byte("\n"), s.Pos.Line+1)
	if line != 1 || s.Pos.Line < 1 || s.Pos.Line > len(lines) {
		return s.Pos
	}
	written := []rune(string(lines[s.Pos.Line-1]))
	from := s.Pos.Col - 1
	if from < len(written) && strings.ContainsRune(`'"`, written[from]) && !strings.HasPrefix(s.Value, string(written[from])) {
		from++
	}
	before := []rune(s.Value)
	before = before[:min(col-1, len(before))]
	if from < 0 || from > len(written) || !strings.HasPrefix(string(written[from:]), string(before)) {
		return s.Pos
	}
	return source.Pos{Line: s.Pos.Line, Col: from + len(before) + 1}
}
