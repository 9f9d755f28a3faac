package sim

import (
	"hash/crc32"
	"math/bits"
	"runtime/debug"
)

// agenda is what will happen, in the order of time and, at the same time, of
// planning.
type agenda struct {
	heap []event
	seq  uint64
}

type event struct {
	at  int64
	seq uint64
	do  func()
}

func (e *event) less(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (a *agenda) add(at int64, do func()) {
	a.seq++
	a.heap = append(a.heap, event{at, a.seq, do})
	for i := len(a.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.heap[i].less(&a.heap[up]) {
			break
		}
		a.heap[i], a.heap[up] = a.heap[up], a.heap[i]
		i = up
	}
}

// before takes the next event off if it is at a time or before.
func (a *agenda) before(at int64) (e event, ok bool) {
	if len(a.heap) == 0 || a.heap[0].at > at {
		return e, false
	}
	e = a.heap[0]
	last := len(a.heap) - 1
	a.heap[0] = a.heap[last]
	a.heap[last] = event{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && a.heap[down+1].less(&a.heap[down]) {
			down++
		}
		if !a.heap[down].less(&a.heap[i]) {
			break
		}
		a.heap[i], a.heap[down] = a.heap[down], a.heap[i]
		i = down
	}
	return e, true
}

// trace is a hash of what happened: two runs with the same one were the same.
type trace struct{ sum uint64 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t *trace) add(words ...uint64) {
	for _, w := range words {
		t.sum = bits.RotateLeft64(t.sum^w, 29) * 0x9e3779b97f4a7c15
	}
}

func (t *trace) bytes(b []byte) { t.add(uint64(len(b)), uint64(crc32.Checksum(b, castagnoli))) }

// mix returns a number that depends on all of words and looks like chance: the
// finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over each.
func mix(words ...uint64) (z uint64) {
	for _, w := range words {
		z += w + 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
	}
	return z
}

func stack() string { return string(debug.Stack()) }
