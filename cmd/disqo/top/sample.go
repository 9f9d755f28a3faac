package top

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/disqo/disqo/cmd/disqo/client"
)

const (
	queuesMax = 1000 // queues looked at: asking for each costs the broker some microseconds
	scanPage  = 1000 // names wanted of one QSCAN
	scansMax  = 20   // QSCANs of one sample, each of ten positions a name
	statBatch = 100  // QSTATs in one pipeline: their replies must not be larger than a client may leave unread
)

// sample is what a broker said at one moment.
type sample struct {
	at     time.Time
	info   map[string]string // INFO
	nodes  []node            // this one first
	queues []queue           // in no order
	more   bool              // there are queues that were not looked at
}

// queue is what QSTAT FULL says; in and out count since the queue came to life.
type queue struct {
	name                       string
	length, in, out            int64
	active, delayed, dead, age int64 // age of the oldest queued job in seconds
	pause                      string
}

var errShape = errors.New("a reply has not the form that was expected: is it a disqo?")

// take asks for a sample. While the broker loads its log there is INFO alone.
func take(ctx context.Context, c *client.Conn) (*sample, error) {
	replies, err := c.Ask(ctx, []string{"INFO"})
	if err != nil {
		return nil, err
	}
	text, ok := replies[0].(string)
	if !ok {
		return nil, errShape
	}
	s := &sample{at: time.Now(), info: parseInfo(text)}
	if s.info["loading"] == "1" {
		return s, nil
	}
	if replies, err = c.Ask(ctx, []string{"CLUSTER", "NODES"}); err != nil {
		return nil, err
	}
	if text, ok = replies[0].(string); !ok {
		return nil, errShape
	}
	s.nodes = parseNodes(text, s.info)
	names, err := s.scan(ctx, c)
	if err != nil {
		return nil, err
	}
	s.at = time.Now()
	for batch := range slices.Chunk(names, statBatch) {
		if err := s.stat(ctx, c, batch); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// scan returns the names of queues, each once.
func (s *sample) scan(ctx context.Context, c *client.Conn) (names []string, err error) {
	seen, cursor := make(map[string]bool), "0"
	for range scansMax {
		replies, err := c.Ask(ctx, []string{"QSCAN", cursor, "COUNT", strconv.Itoa(scanPage)})
		if err != nil {
			return nil, err
		}
		page, _ := replies[0].([]any)
		if len(page) != 2 {
			return nil, errShape
		}
		cursor, _ = page[0].(string)
		list, _ := page[1].([]any)
		for _, v := range list {
			if name, ok := v.(string); ok && !seen[name] && len(names) < queuesMax {
				seen[name] = true
				names = append(names, name)
			} else if !seen[name] {
				s.more = true
			}
		}
		if cursor == "0" || s.more || len(names) == queuesMax {
			break
		}
	}
	s.more = s.more || cursor != "0"
	return names, nil
}

// stat asks about queues; those that are gone by now are left out.
func (s *sample) stat(ctx context.Context, c *client.Conn, names []string) error {
	commands := make([][]string, len(names))
	for i, name := range names {
		commands[i] = []string{"QSTAT", name, "FULL"}
	}
	replies, err := c.Ask(ctx, commands...)
	if err != nil {
		return err
	}
	for i, r := range replies {
		if list, ok := r.([]any); ok {
			s.queues = append(s.queues, parseQueue(names[i], list))
		}
	}
	return nil
}

// parseQueue reads names and values; those that are not there are 0.
func parseQueue(name string, list []any) queue {
	m := make(map[string]any, len(list)/2)
	for pair := range slices.Chunk(list, 2) {
		if key, ok := pair[0].(string); ok && len(pair) == 2 {
			m[key] = pair[1]
		}
	}
	number := func(key string) int64 { n, _ := m[key].(int64); return n }
	pause, _ := m["pause"].(string)
	return queue{
		name: name, length: number("len"), in: number("jobs-in"), out: number("jobs-out"), pause: pause,
		active: number("active"), delayed: number("delayed"), dead: number("dead"), age: number("oldest-age"),
	}
}

// parseInfo reads the lines of INFO.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			info[key] = value
		}
	}
	return info
}

// number returns a field of INFO, 0 if it is not there.
func (s *sample) number(key string) int64 {
	n, _ := strconv.ParseInt(s.info[key], 10, 64)
	return n
}
