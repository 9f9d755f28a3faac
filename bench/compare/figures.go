package compare

import (
	"fmt"
	"slices"
)

// Figures are the median of some runs, their extremes, and all in order.
type Figures struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	All    []float64 `json:"all"`
}

func newFigures(all []float64) Figures {
	if len(all) == 0 {
		return Figures{}
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return Figures{Median: (sorted[n/2] + sorted[(n-1)/2]) / 2, Min: sorted[0], Max: sorted[n-1], All: all}
}

// of makes figures of something of each sample.
func of[T any](samples []T, value func(T) float64) Figures {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = value(s)
	}
	return newFigures(all)
}

// ratio compares two systems run by run.
func ratio(a, b Figures) Figures {
	var all []float64
	for i := range min(len(a.All), len(b.All)) {
		if b.All[i] > 0 {
			all = append(all, a.All[i]/b.All[i])
		}
	}
	return newFigures(all)
}

// spread is the distance of the extremes in per cent of the median.
func (f Figures) spread() float64 {
	if f.Median == 0 {
		return 0
	}
	return 100 * (f.Max - f.Min) / f.Median
}

func (f Figures) short() string { return fmt.Sprintf("%.2f (%.2f..%.2f)", f.Median, f.Min, f.Max) }
