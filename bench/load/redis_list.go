package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// list is a Redis list as a reliable queue, as Redis' documentation has it:
// LPUSH adds; LMOVE hands a job out and keeps it in a list of the consumer's
// own, from which LREM takes it when it is done. There is no id but the body.
type list struct {
	adding  template
	fetches []byte
	depth   int
	work    string // the consumer's own list
}

func newList(o *Options, i int) protocol {
	l := &list{depth: o.Depth, work: fmt.Sprintf("%s.work.%d", o.Queue, i)}
	l.adding.text = command(nil, "LPUSH", o.Queue, string(make([]byte, o.Size)))
	l.adding.number = bytes.IndexByte(l.adding.text, 0)
	l.fetches = command(nil, "BLMOVE", o.Queue, l.work, "RIGHT", "LEFT", strconv.Itoa(fetchWaitMS/1000))
	for range o.Depth - 1 {
		l.fetches = command(l.fetches, "LMOVE", o.Queue, l.work, "RIGHT", "LEFT")
	}
	return l
}

func (l *list) greet(out []byte, _ bool) ([]byte, int) { return out, 0 }
func (l *list) greeted(b []byte) (int, error)          { return 0, unexpected(b) }

func (l *list) add(out []byte, number uint64) []byte { return l.adding.append(out, number, 0) }

func (l *list) added(b []byte) (int, error) {
	r := reader{b: b}
	r.head(':') // how long the list is
	return r.used()
}

func (l *list) fetch(out []byte) ([]byte, int) { return append(out, l.fetches...), l.depth }

func (l *list) fetched(b []byte, take func(id, body []byte) error) (int, error) {
	r := reader{b: b}
	if r.null() {
		return r.used()
	}
	if body := r.bulk(); r.fine() {
		r.err = take(body, body)
	}
	return r.used()
}

func (l *list) ack(out []byte, ids [][]byte) ([]byte, int) {
	for i := range ids {
		out = commandOf(out, ids[i:i+1], "LREM", l.work, "1")
	}
	return out, len(ids)
}

func (l *list) acked(b []byte, _ int) (int, error) { return integer(b, 1) }
