package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// protocol speaks to one kind of queue on one connection. What appends, appends
// a request; what parses reads the first of the replies in b and returns how
// many bytes that was, or 0 if it has not wholly come yet.
type protocol interface {
	// greet says what a connection has to say first and how many lines answer that.
	greet(out []byte, consumer bool) ([]byte, int)
	greeted(b []byte) (int, error)

	add(out []byte, number uint64) []byte
	added(b []byte) (int, error)

	// fetch asks for up to depth jobs and says how many replies that has. It
	// waits a while for the first job, for others it does not.
	fetch(out []byte) ([]byte, int)
	fetched(b []byte, take func(id, body []byte) error) (int, error)

	// ack acknowledges jobs and says how many replies that has.
	ack(out []byte, ids [][]byte) ([]byte, int)
	acked(b []byte, jobs int) (int, error)
}

// protocols make them for the i-th connection of a run.
var protocols = map[string]func(o *Options, i int) protocol{
	"disque": newDisque, "list": newList, "stream": newStream, "beanstalkd": newBeanstalk,
}

// Protocols are the names of what can be driven.
var Protocols = slices.Sorted(maps.Keys(protocols))

// fetchWaitMS is how long a fetch waits for a job, in milliseconds.
const fetchWaitMS = 5000

// refusal is an error that the broker answered.
type refusal string

func (r refusal) Error() string { return "load: the broker says: " + string(r) }

// unexpected is the error for a reply of a kind that does not belong there.
func unexpected(b []byte) error {
	line, _ := cutLine(b[:min(len(b), 100)])
	if len(line) > 0 && line[0] == '-' {
		return refusal(line[1:])
	}
	return fmt.Errorf("load: not the reply that was expected: %q", line)
}

// errNull is a null where there must be a text.
var errNull = errors.New("load: a null where a text was expected")

// template is a request that is the same each time but for a number in the
// body and one in the queue's name.
type template struct {
	text       []byte
	number, to int // where the number of the job begins, and of the queue; 0 = it has none
}

const queueDigits = 5 // of the number in a queue's name

// append appends the request for a job.
func (t *template) append(out []byte, number, queue uint64) []byte {
	start := len(out)
	out = append(out, t.text...)
	if t.number > 0 {
		binary.BigEndian.PutUint64(out[start+t.number:], number)
	}
	if t.to > 0 {
		for i := queueDigits - 1; i >= 0; i-- {
			out[start+t.to+i] = byte('0' + queue%10)
			queue /= 10
		}
	}
	return out
}
