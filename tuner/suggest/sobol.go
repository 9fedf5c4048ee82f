package suggest

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

// sobol takes one point after another of a Sobol sequence with the direction numbers
// of Joe and Kuo (2008), scrambled digit by digit after Owen, "Scrambling Sobol' and
// Niederreiter-Xing points" (J. Complexity 14, 1998): each seed has its own points, as
// evenly spread as the sequence's. A power of two as number of trials spreads best. An
// int's or a category's values take even shares of their dimension. Points that the
// space does not allow and values tried before, where they are countable, are left out.
// From the 129th parameter on the dimensions are points by chance.
type sobol struct{ seed fixedSeed }

func newSobol(s *settings) Algorithm { return sobol{s.randomState()} }

func (a sobol) Next(q Query) (Proposal, error) {
	q.Seed = a.seed.of(&q)
	axes, been := q.Space.axes(), q.been()
	// Where points are left out, the next one's place in the sequence is known only by
	// going through it from the start.
	place, walked := uint32(len(q.History)), map[string]bool{}
	skips := been != nil || q.Space.Feasible != nil
	if skips {
		place = 0
	}
	repeats := false // all that is allowed seems to have been
	for got, misses, known := 0, 0, 0; misses < tries; place++ {
		x := sobolPoint(q.Space, axes, place, q.Seed)
		if !skips {
			return Proposal{Point: x, Parent: None}, nil
		}
		if !q.Space.May(x) {
			misses++
			continue
		}
		key := x.key()
		if walked[key] && !repeats {
			known++
			repeats = known >= tries/10 || q.Space.exhausted(len(walked))
		}
		if walked[key] && !repeats {
			continue
		}
		walked[key], known, misses = been != nil, 0, 0
		if got++; got > len(q.History) {
			return Proposal{Point: x, Parent: None}, nil
		}
	}
	return Proposal{}, fmt.Errorf("%w (%d points of the sequence)", errNoPoint, tries)
}

func sobolPoint(s *Space, axes []axis, place uint32, seed uint64) Point {
	x := make(Point, len(axes))
	for i := range axes {
		u := sobolUnit(place, i, seed)
		if x[i] = math.NaN(); s.Active(x, i) {
			x[i] = axes[i].value(u)
		}
	}
	return x
}

// sobolUnit is one coordinate, in (0, 1), of the scrambled sequence.
func sobolUnit(place uint32, dimension int, seed uint64) float64 {
	seed = mix(seed + uint64(dimension)*0x9e3779b97f4a7c15)
	if table := directions(); dimension < len(table) {
		return (float64(scramble(table[dimension].at(place), seed)) + 0.5) / (1 << 32)
	}
	return (float64(mix(seed+uint64(place))>>11) + 0.5) / (1 << 53)
}

// scramble flips each digit by a coin that is tossed for the digits before it.
func scramble(v uint32, seed uint64) uint32 {
	var flips uint32
	for digit := range 32 {
		before := uint64(v>>(32-digit)) | 1<<digit // the 1 tells 0 from 00
		flips |= uint32(mix(seed^before*0xff51afd7ed558ccd)>>63) << (31 - digit)
	}
	return v ^ flips
}

// mix is the finish of splitmix64: each bit of the result hangs on all of v.
func mix(v uint64) uint64 {
	v ^= v >> 30
	v *= 0xbf58476d1ce4e5b9
	v ^= v >> 27
	v *= 0x94d049bb133111eb
	return v ^ v>>31
}

// direction are a dimension's direction numbers as 32-bit fractions.
type direction [32]uint32

// at is the element at a place, in the order of the Gray code.
func (d *direction) at(place uint32) (v uint32) {
	for gray := place ^ place>>1; gray != 0; gray &= gray - 1 {
		v ^= d[bits.TrailingZeros32(gray)]
	}
	return v
}

var directions = sync.OnceValue(func() []direction {
	table := make([]direction, 1)
	for k := range 32 {
		table[0][k] = 1 << (31 - k)
	}
	for line := range strings.Lines(strings.TrimSpace(joeKuo)) {
		var n []uint32
		for _, f := range strings.Fields(line) {
			v, _ := strconv.ParseUint(f, 10, 32)
			n = append(n, uint32(v))
		}
		table = append(table, recur(n[0], n[1:]))
	}
	return table
})

// recur continues the first direction integers by the polynomial's recurrence (Joe and
// Kuo, formula 2).
func recur(inner uint32, first []uint32) (d direction) {
	degree := len(first)
	for k := range d {
		if k < degree {
			d[k] = first[k] << (31 - k)
			continue
		}
		d[k] = d[k-degree] ^ d[k-degree]>>degree
		for j := 1; j < degree; j++ {
			d[k] ^= (inner >> (degree - 1 - j) & 1) * d[k-j]
		}
	}
	return d
}
