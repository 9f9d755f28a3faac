package top

import (
	"fmt"
	"strconv"
	"time"
)

// count is a number in at most six cells, up to a million million.
func count(n int64) string {
	switch f := float64(n); {
	case n < 100_000:
		return strconv.FormatInt(n, 10)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1fM", f/1e6)
	default:
		return fmt.Sprintf("%.1fG", f/1e9)
	}
}

// perSecond is a rate; a negative one is not known.
func perSecond(f float64) string {
	switch {
	case f < 0:
		return "-"
	case f == 0:
		return "0"
	case f < 10:
		return fmt.Sprintf("%.1f", f)
	}
	return count(int64(f + 0.5))
}

// bytes is a size, in powers of 1024.
func bytes(n int64) string {
	f, unit := float64(n), ""
	for _, next := range []string{"K", "M", "G", "T"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, next
	}
	if unit == "" {
		return strconv.FormatInt(n, 10) + "B"
	}
	return fmt.Sprintf("%.1f%s", f, unit)
}

// age is a time in seconds, by its two largest units.
func age(seconds int64) string {
	const minute, hour, day = 60, 3600, 86400
	switch n := seconds; {
	case n < minute:
		return fmt.Sprintf("%ds", n)
	case n < hour:
		return fmt.Sprintf("%dm%02ds", n/minute, n%minute)
	case n < day:
		return fmt.Sprintf("%dh%02dm", n/hour, n%hour/minute)
	default:
		return fmt.Sprintf("%dd%02dh", n/day, n%day/hour)
	}
}

// trip is the round trip of a link, 0 if it is not known.
func trip(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	}
	return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000)
}
