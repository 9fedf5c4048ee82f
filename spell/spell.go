// Package spell compares words, to say which one was probably meant.
package spell

// Distance is Levenshtein's edit distance of two words, in runes.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range x {
		prev := row[0]
		row[0] = i + 1
		for j, e := range y {
			cost := 1
			if c == e {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(y)]
}
