package load

import (
	"bytes"
	"strconv"
)

// stream is a Redis stream with a consumer group: XADD adds, XREADGROUP hands
// out, XACK acknowledges, and XDEL takes the entry away, which a job queue
// needs so as not to grow for ever.
type stream struct {
	adding  template
	opening []byte
	reading []byte
	queue   string
}

const group = "workers"

func newStream(o *Options, i int) protocol {
	s := &stream{queue: o.Queue}
	s.adding.text = command(nil, "XADD", o.Queue, "*", "b", string(make([]byte, o.Size)))
	s.adding.number = bytes.IndexByte(s.adding.text, 0)
	s.opening = command(nil, "XGROUP", "CREATE", o.Queue, group, "0", "MKSTREAM")
	s.reading = command(nil, "XREADGROUP", "GROUP", group, strconv.Itoa(i), "COUNT", strconv.Itoa(o.Depth),
		"BLOCK", strconv.Itoa(fetchWaitMS), "STREAMS", o.Queue, ">")
	return s
}

func (s *stream) greet(out []byte, _ bool) ([]byte, int) { return append(out, s.opening...), 1 }

func (s *stream) greeted(b []byte) (int, error) {
	_, used := cutLine(b)
	if used > 0 && b[0] == '-' && !bytes.HasPrefix(b, []byte("-BUSYGROUP")) {
		return 0, unexpected(b)
	}
	return used, nil
}

func (s *stream) add(out []byte, number uint64) []byte { return s.adding.append(out, number, 0) }

func (s *stream) added(b []byte) (int, error) {
	r := reader{b: b}
	r.bulk() // the id
	return r.used()
}

func (s *stream) fetch(out []byte) ([]byte, int) { return append(out, s.reading...), 1 }

func (s *stream) fetched(b []byte, take func(id, body []byte) error) (int, error) {
	r := reader{b: b}
	if r.null() {
		return r.used()
	}
	r.head('*') // streams
	r.head('*')
	r.bulk()
	for range r.head('*') {
		r.head('*')
		id := r.bulk()
		r.head('*')
		r.bulk()
		body := r.bulk()
		if !r.fine() {
			break
		}
		r.err = take(id, body)
	}
	return r.used()
}

func (s *stream) ack(out []byte, ids [][]byte) ([]byte, int) {
	out = commandOf(out, ids, "XACK", s.queue, group)
	return commandOf(out, ids, "XDEL", s.queue), 2
}

func (s *stream) acked(b []byte, jobs int) (int, error) { return integer(b, jobs) }
