package metrics

// DefaultFilter is what Katib looks for where an experiment gives no filter
// (pkg/metricscollector/v1beta1/common/const.go). Text has a scanner for it;
// a test holds the scanner to this expression.
const DefaultFilter = `([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)`

// pair is one match of the default filter, or of the form `name: value`.
type pair struct {
	name, value []byte
	colon       bool
	end         int // where the search goes on
}

// nextPair finds the next pair of line at or after from: what the default filter
// finds there, in one pass. It adds nan, inf and infinity, of any case and with
// a sign, as values, for which that filter finds an empty value; and if colon,
// `name: value`, also with quotes around the name, as Python prints dicts.
func nextPair(line []byte, from int, colon bool) (pair, bool) {
	for i := from; i < len(line); i++ {
		b := line[i]
		if b != '=' && (b != ':' || !colon) {
			continue
		}
		name := nameBefore(line, from, i)
		if b == ':' && len(name) == 0 {
			name = quotedBefore(line, from, i)
		}
		if len(name) == 0 {
			continue
		}
		p := pair{name: name, colon: b == ':'}
		start := i + 1
		for start < len(line) && isSpace(line[start]) {
			start++
		}
		p.end = valueEnd(line, start)
		p.value = line[start:p.end]
		if p.colon && !plausible(p, line) {
			continue
		}
		return p, true
	}
	return pair{}, false
}

// nameBefore returns the run of name characters before i, with white space
// between them allowed, not reaching back over from.
func nameBefore(line []byte, from, i int) []byte {
	for i > from && isSpace(line[i-1]) {
		i--
	}
	end := i
	for i > from && isNameByte(line[i-1]) {
		i--
	}
	return line[i:end]
}

// quotedBefore is nameBefore for a name in quotes.
func quotedBefore(line []byte, from, i int) []byte {
	for i > from && isSpace(line[i-1]) {
		i--
	}
	if i-1 <= from || line[i-1] != '"' && line[i-1] != '\'' {
		return nil
	}
	quote, end := line[i-1], i-1
	for i = end; i > from && isNameByte(line[i-1]); i-- {
	}
	if i == from || line[i-1] != quote {
		return nil
	}
	return line[i:end]
}

// plausible keeps clock times, addresses and versions out of the form
// `name: value`: the name begins with a letter, and after the number nothing
// goes on that would make it part of a word.
func plausible(p pair, line []byte) bool {
	first := p.name[0] | 0x20
	if !('a' <= first && first <= 'z' || p.name[0] == '_') || !hasDigit(p.value) && !isWordNumber(p.value) {
		return false
	}
	if p.end == len(line) {
		return true
	}
	next := line[p.end]
	if next == '.' || next == ':' { // the end of a sentence, but not a part of 1.2.3 or 10:30
		return p.end+1 == len(line) || !isNameByte(line[p.end+1])
	}
	if isNameByte(next) {
		return false
	}
	i := p.end
	for i < len(line) && isSpace(line[i]) {
		i++
	}
	return i == len(line) || line[i] != '=' // else the number is a name for the default filter
}

// valueEnd returns where [+-]?\d*(\.\d+)?([Ee][+-]?\d+)? ends that begins at
// start, or nan or inf instead.
func valueEnd(line []byte, start int) int {
	i := start
	if i < len(line) && (line[i] == '+' || line[i] == '-') {
		i++
	}
	if end := wordNumberEnd(line, i); end > i {
		return end
	}
	i = digitsEnd(line, i)
	if i+1 < len(line) && line[i] == '.' && isDigit(line[i+1]) {
		i = digitsEnd(line, i+1)
	}
	if i < len(line) && (line[i] == 'e' || line[i] == 'E') {
		j := i + 1
		if j < len(line) && (line[j] == '+' || line[j] == '-') {
			j++
		}
		if j < len(line) && isDigit(line[j]) {
			i = digitsEnd(line, j)
		}
	}
	return i
}

func digitsEnd(line []byte, i int) int {
	for i < len(line) && isDigit(line[i]) {
		i++
	}
	return i
}

// wordNumberEnd returns where nan, inf or infinity ends that begins at i, or i.
// It must be a word of its own, and not the name of a pair (`a= nan=1`).
func wordNumberEnd(line []byte, i int) int {
	if i >= len(line) || line[i]|0x20 != 'n' && line[i]|0x20 != 'i' {
		return i
	}
	end := i
	for end < len(line) && isNameByte(line[end]) {
		end++
	}
	if !isWordNumber(line[i:end]) {
		return i
	}
	next := end
	for next < len(line) && isSpace(line[next]) {
		next++
	}
	if next < len(line) && isSeparator(line[next]) {
		return i
	}
	return end
}

// isWordNumber says whether b, with or without a sign, is nan, inf or infinity.
func isWordNumber(b []byte) bool {
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		b = b[1:]
	}
	return equalFold(b, "nan") || equalFold(b, "inf") || equalFold(b, "infinity")
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

func hasDigit(b []byte) bool {
	for _, c := range b {
		if isDigit(c) {
			return true
		}
	}
	return false
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// isSpace is \s of Go's regular expressions.
func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' || b == '\f' }

// isNameByte is [\w|-].
func isNameByte(b byte) bool { return nameBytes[b] }

var nameBytes = func() (is [256]bool) {
	for b := range is {
		c := byte(b)
		is[b] = isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '|' || c == '-'
	}
	return is
}()
