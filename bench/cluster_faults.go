package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// ClusterFaults are what a cluster is tortured by:
//
//   - halves: the nodes are parted at random into two halves that hear nothing
//     of each other;
//   - isolate: one node and the others hear nothing of each other;
//   - one-way: what one node sends to the others is lost, not what they send;
//   - kill-one, kill-two: nodes end by SIGKILL and start again when it is over;
//   - freeze: one node is stopped by SIGSTOP;
//   - restart: all nodes, one after the other, end by SIGTERM and start again. Nobody
//     is to notice that: no job may come twice, and no ADDJOB take long.
var ClusterFaults = []string{"halves", "isolate", "one-way", "kill-one", "kill-two", "freeze", rolling}

const (
	rolling = "restart"
	noFault = "none" // nothing happens; it is as with restart
)

// gentle reports whether a fault is none that clients are to notice.
func gentle(fault string) bool { return fault == rolling || fault == noFault }

// link is one direction between two nodes, by their indexes.
type link struct{ from, to int }

// strike is one fault as it happens: what is cut, killed and stopped, by the
// nodes' indexes. At most one of the four is not empty.
type strike struct {
	cut          []link
	kill, freeze []int
	restart      []int  // in this order
	text         string // who is hit, nodes counted from 1
}

// plan decides at random whom a fault hits.
func plan(fault string, nodes int, rng *rand.Rand) strike {
	order := rng.Perm(nodes)
	side := func(n int) ([]int, []int) {
		a, b := order[:n], order[n:]
		slices.Sort(a)
		slices.Sort(b)
		return a, b
	}
	switch fault {
	case "halves":
		a, b := side(nodes / 2)
		return strike{cut: append(cross(a, b), cross(b, a)...), text: names(a) + " | " + names(b)}
	case "isolate":
		a, b := side(1)
		return strike{cut: append(cross(a, b), cross(b, a)...), text: names(a)}
	case "one-way":
		a, b := side(1)
		return strike{cut: cross(a, b), text: names(a) + " is not heard"}
	case "kill-one":
		a, _ := side(1)
		return strike{kill: a, text: names(a)}
	case "kill-two":
		a, _ := side(2)
		return strike{kill: a, text: names(a)}
	case "freeze":
		a, _ := side(1)
		return strike{freeze: a, text: names(a)}
	case rolling:
		return strike{restart: order, text: names(order)}
	}
	return strike{text: "nothing"}
}

// down returns the nodes that do not run during the strike.
func (s *strike) down() []int { return append(slices.Clone(s.kill), s.freeze...) }

// cross returns the links from each of a to each of b.
func cross(a, b []int) (links []link) {
	for _, from := range a {
		for _, to := range b {
			links = append(links, link{from, to})
		}
	}
	return links
}

// names lists nodes, counted from 1.
func names(nodes []int) string {
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, n+1)
	}
	return b.String()
}
