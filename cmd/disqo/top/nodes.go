package top

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// node is a node of the cluster as the broker that was asked knows it.
type node struct {
	id, addr string
	state    string // ok, or what is wrong or special
	self     bool
	linked   bool
	trip     time.Duration // round trip of its link; 0: not known
}

// fine reports whether nobody need look at the node.
func (n *node) fine() bool { return n.self || n.linked && n.state == stateOK }

const stateOK = "ok"

// flagWords are the flags of CLUSTER NODES in words; the others are words.
var flagWords = map[string]string{"noflags": stateOK, "fail?": "suspect", "fail": "failed"}

// parseNodes reads CLUSTER NODES, and the round trips from INFO: this node first,
// then those with which something is wrong, as a small terminal shows only some.
func parseNodes(text string, info map[string]string) []node {
	trips := roundTrips(info)
	var nodes []node
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		n := node{id: f[0], addr: f[1], linked: f[len(f)-1] == "connected", trip: trips[f[0]]}
		var words []string
		for flag := range strings.SplitSeq(f[2], ",") {
			word, ok := flagWords[flag]
			if !ok {
				word = flag
			}
			n.self = n.self || flag == "myself"
			words = append(words, word)
		}
		n.state = strings.Join(words, ",")
		nodes = append(nodes, n)
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return rank(&a) - rank(&b) })
	return nodes
}

func rank(n *node) int {
	switch {
	case n.self:
		return 0
	case !n.fine():
		return 1
	}
	return 2
}

// roundTrips returns those of INFO's peers by node id.
func roundTrips(info map[string]string) map[string]time.Duration {
	trips := make(map[string]time.Duration)
	for key, value := range info {
		if !strings.HasPrefix(key, "peer") {
			continue
		}
		id, usec := "", int64(0)
		for pair := range strings.SplitSeq(value, ",") {
			switch k, v, _ := strings.Cut(pair, "="); k {
			case "id":
				id = v
			case "rtt_usec":
				usec, _ = strconv.ParseInt(v, 10, 64)
			}
		}
		trips[id] = time.Duration(usec) * time.Microsecond
	}
	return trips
}
