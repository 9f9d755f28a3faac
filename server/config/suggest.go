package config

import "strings"

// nearest returns the directive spelled most like name, or "" when none is
// close enough to be what the user meant.
func nearest(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), "=") // --port=7711 is a common slip
	if len(name) < 2 || len(name) > 64 {
		return ""
	}
	best, limit := "", min(2, len(name)/2) // 2: one swap of neighbours
	for i := range table {
		if d := editDistance(name, table[i].name); d <= limit {
			best, limit = table[i].name, d-1
		}
	}
	return best
}

// editDistance counts the bytes to insert, remove or replace to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1) // distances from the part of a read so far to each prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
