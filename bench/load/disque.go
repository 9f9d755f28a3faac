package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// disque is a queue of a broker that speaks Disque's commands: ADDJOB, GETJOB,
// ACKJOB.
type disque struct {
	adding, fetching template
	queues           uint64
	queue            uint64 // of the next fetch
	step             uint64 // to the one after that
}

func newDisque(o *Options, i int) protocol {
	d := &disque{queues: uint64(o.Queues), queue: uint64(i) % uint64(o.Queues), step: uint64(o.Consumers)}
	name, wait := o.Queue, []string{"TIMEOUT", strconv.Itoa(fetchWaitMS)}
	if o.Queues > 1 {
		name, wait = fmt.Sprintf("%s.%0*d", o.Queue, queueDigits, 0), []string{"NOHANG"}
	}
	add := []string{"ADDJOB", name, string(make([]byte, o.Size)), "0"}
	if o.Copies > 0 {
		add = append(add, "REPLICATE", strconv.Itoa(o.Copies))
	}
	d.adding.text = command(nil, add...)
	d.adding.number = bytes.IndexByte(d.adding.text, 0)
	d.fetching.text = command(nil, append(append([]string{"GETJOB"}, wait...), "COUNT", strconv.Itoa(o.Depth), "FROM", name)...)
	if o.Queues > 1 {
		d.adding.to = bytes.Index(d.adding.text, []byte(name)) + len(name) - queueDigits
		d.fetching.to = bytes.Index(d.fetching.text, []byte(name)) + len(name) - queueDigits
	}
	return d
}

func (d *disque) greet(out []byte, _ bool) ([]byte, int) { return out, 0 }
func (d *disque) greeted(b []byte) (int, error)          { return 0, unexpected(b) }

func (d *disque) add(out []byte, number uint64) []byte {
	return d.adding.append(out, number, number%d.queues)
}

func (d *disque) added(b []byte) (int, error) {
	_, used := cutLine(b)
	if used > 0 && b[0] != '+' {
		return 0, unexpected(b)
	}
	return used, nil
}

func (d *disque) fetch(out []byte) ([]byte, int) {
	out = d.fetching.append(out, 0, d.queue)
	// A consumer has the queues of its number, and of that plus the number of
	// consumers, and so on.
	if d.queue += d.step; d.queue >= d.queues {
		d.queue %= min(d.step, d.queues)
	}
	return out, 1
}

func (d *disque) fetched(b []byte, take func(id, body []byte) error) (int, error) {
	r := reader{b: b}
	if r.null() {
		return r.used()
	}
	for range r.head('*') {
		if n := r.head('*'); r.fine() && n != 3 {
			r.err = unexpected(b)
		}
		r.bulk() // the queue
		id, body := r.bulk(), r.bulk()
		if !r.fine() {
			break
		}
		r.err = take(id, body)
	}
	return r.used()
}

func (d *disque) ack(out []byte, ids [][]byte) ([]byte, int) {
	return commandOf(out, ids, "ACKJOB"), 1
}

func (d *disque) acked(b []byte, jobs int) (int, error) { return integer(b, jobs) }
