package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/wherry-ml/wherry/tuner"
)

// plotBest draws the best value of the leading objective after each trial, as text of
// that many columns and rows; empty where there are fewer than three values.
func plotBest(e *tuner.Experiment, trials []*tuner.Trial, width, height int) string {
	var values []float64
	lead := e.Objectives[0]
	best := math.NaN()
	for _, t := range trials {
		v := t.Value(e, lead.Metric)
		if !t.State.Counts() || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if math.IsNaN(best) || lead.Maximize && v > best || !lead.Maximize && v < best {
			best = v
		}
		values = append(values, best)
	}
	if len(values) < 3 {
		return ""
	}
	width = min(width, len(values))
	low, high := min(values[0], best), max(values[0], best)
	if low == high {
		return ""
	}
	rows := make([][]rune, height)
	for i := range rows {
		rows[i] = []rune(strings.Repeat(" ", width))
	}
	for x := range width {
		v := values[(x*(len(values)-1)+(width-1)/2)/max(1, width-1)]
		y := int(math.Round((high - v) / (high - low) * float64(height-1)))
		rows[y][x] = '•'
	}
	var b strings.Builder
	fmt.Fprintf(&b, "best %s after each of %d trials\n", lead.Metric, len(values))
	for i, row := range rows {
		label := ""
		switch i {
		case 0:
			label = figure(high)
		case height - 1:
			label = figure(low)
		}
		fmt.Fprintf(&b, "%10s │%s\n", label, strings.TrimRight(string(row), " "))
	}
	return b.String()
}
