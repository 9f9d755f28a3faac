package top

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// row is a queue, and how many jobs a second came and left since the sample
// before; negative: not known.
type row struct {
	queue
	inRate, outRate float64
}

// rows returns the queues of a sample. before may be nil.
func rows(before, now *sample) []row {
	var was map[string]queue
	var took time.Duration
	if before != nil {
		took = now.at.Sub(before.at)
		was = make(map[string]queue, len(before.queues))
		for _, q := range before.queues {
			was[q.name] = q
		}
	}
	list := make([]row, len(now.queues))
	for i, q := range now.queues {
		list[i] = row{q, -1, -1}
		if old, ok := was[q.name]; ok {
			list[i].inRate, list[i].outRate = rate(old.in, q.in, took), rate(old.out, q.out, took)
		}
	}
	return list
}

// rate is not known for a counter that began anew: the queue was gone meanwhile.
func rate(before, now int64, took time.Duration) float64 {
	if took <= 0 || now < before {
		return -1
	}
	return float64(now-before) / took.Seconds()
}

// order says which queues come first; it is the key that chooses it.
type order byte

const (
	byLength order = 'l'
	byIn     order = 'i'
	byOut    order = 'o'
	byDead   order = 'd'
	byName   order = 'n'
)

// orders names the orders, as the last line does.
var orders = []struct {
	by   order
	name string
}{{byLength, "length"}, {byIn, "in"}, {byOut, "out"}, {byDead, "dead"}, {byName, "name"}}

// sort puts rows in order: the largest first, equal ones by name.
func (by order) sort(list []row) {
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(by.compare(&a, &b), strings.Compare(a.name, b.name))
	})
}

func (by order) compare(a, b *row) int {
	switch by {
	case byLength:
		return cmp.Compare(b.length, a.length)
	case byIn:
		return cmp.Compare(b.inRate, a.inRate)
	case byOut:
		return cmp.Compare(b.outRate, a.outRate)
	case byDead:
		return cmp.Compare(b.dead, a.dead)
	}
	return 0
}
