package metrics

import "bytes"

// lines cuts a stream into lines in bounded memory. A line ends at \n or \r, so
// that a progress bar, which draws itself anew after each \r, is seen as it goes;
// the empty line inside \r\n does no harm. A line longer than limit comes in
// pieces, cut where cut says, whatever the chunks in which it was fed; with no
// cut it is left out, and tooLong is called.
type lines struct {
	limit   int
	emit    func(line []byte, pos int64, first bool) // first: the beginning of a line, not a later piece
	cut     func(full []byte) int                    // how much of it is a piece; 0: nothing of it is to be read
	tooLong func(pos int64)

	buf  []byte // what has come of a line that goes on
	pos  int64  // where buf begins in the stream
	skip bool   // up to the next newline, or with cut to the next place to cut
	rest bool   // what is in buf is not the first piece of its line
}

func (l *lines) feed(p []byte) {
	for len(p) > 0 {
		if l.skip {
			if p = l.skipOver(p); len(p) == 0 {
				return
			}
		}
		room := l.limit - len(l.buf)
		n, ended := lineEnd(p[:min(len(p), room+1)])
		switch {
		case n > room:
			l.buf = append(l.buf, p[:room]...)
			p = p[room:]
			l.full()
		case !ended:
			l.buf = append(l.buf, p[:n]...)
			return
		default:
			line := p[:n]
			if len(l.buf) > 0 {
				l.buf = append(l.buf, line...)
				line = l.buf
			}
			l.pos += int64(len(line) + 1)
			l.emit(line, l.pos, !l.rest)
			l.buf, l.rest = l.buf[:0], false
			p = p[n+1:]
		}
	}
}

// full is called when buf is as long as a line may be, and goes on.
func (l *lines) full() {
	k := 0
	if l.cut != nil {
		k = l.cut(l.buf)
	}
	if k > 0 {
		l.pos += int64(k)
		l.emit(l.buf[:k], l.pos, !l.rest)
		l.buf = append(l.buf[:0], l.buf[k:]...)
	} else {
		if l.cut == nil {
			l.tooLong(l.pos)
		}
		l.pos += int64(len(l.buf))
		l.buf, l.skip = l.buf[:0], true
	}
	l.rest = true
}

// skipOver drops what can't be read and returns what follows.
func (l *lines) skipOver(p []byte) []byte {
	n, ended := lineEnd(p)
	if l.cut != nil {
		for k, b := range p[:n] {
			if isBreak(b) || isSpace(b) {
				l.pos += int64(k)
				l.skip = false
				return p[k:]
			}
		}
	}
	l.pos += int64(n)
	if !ended {
		return nil
	}
	l.pos++
	l.skip, l.rest = false, false
	return p[n+1:]
}

// end makes a line of what is left.
func (l *lines) end() {
	if len(l.buf) > 0 {
		l.pos += int64(len(l.buf))
		l.emit(l.buf, l.pos, !l.rest)
	}
	l.buf, l.rest, l.skip = l.buf[:0], false, false
}

// reset forgets what is left.
func (l *lines) reset() {
	l.pos += int64(len(l.buf))
	l.buf, l.rest, l.skip = l.buf[:0], false, false
}

// lineEnd returns how many bytes come before the first \n or \r, and whether
// there is one.
func lineEnd(p []byte) (int, bool) {
	n := bytes.IndexByte(p, '\n')
	ended := n >= 0
	if !ended {
		n = len(p)
	}
	if r := bytes.IndexByte(p[:n], '\r'); r >= 0 {
		return r, true
	}
	return n, ended
}

// isBreak says whether a metric can't go on over b: nothing that the default
// filter knows has such a character inside.
func isBreak(b byte) bool {
	switch b {
	case '.', '+', '=', ':', '"', '\'':
		return false
	}
	return b > ' ' && b < 0x7f && !isNameByte(b)
}

// cutText returns how much of a full buffer can be read by itself: up to a
// character that no metric has, else up to white space that does not stand
// beside a separator (`name = value` stays whole). 0 if there is no such place:
// then it is no text in which one could find metrics.
func cutText(full []byte) int {
	for k := len(full) - 1; k > 0; k-- {
		if isBreak(full[k]) {
			return k
		}
		if !isSpace(full[k]) {
			continue
		}
		start := k
		for start > 0 && isSpace(full[start-1]) {
			start--
		}
		if k+1 < len(full) && !isSeparator(full[k+1]) && start > 0 && !isSeparator(full[start-1]) {
			return k
		}
		k = start
	}
	return 0
}

func isSeparator(b byte) bool { return b == '=' || b == ':' }
