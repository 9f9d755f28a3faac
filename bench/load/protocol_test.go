package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// replies are what each kind of queue answers, and what is in it.
var replies = map[string]struct {
	greeted, added, empty, fetched, acked string
	ids                                   string
	refused                               string
}{
	"disque": {
		added: "+D-1\r\n", empty: "*-1\r\n", acked: ":2\r\n", ids: "D-1 D-2",
		fetched: "*2\r\n*3\r\n$5\r\nbench\r\n$3\r\nD-1\r\n$8\r\n\x00\x00\x00\x00\x00\x00\x00\x01\r\n*3\r\n$5\r\nbench\r\n$3\r\nD-2\r\n$8\r\n\x00\x00\x00\x00\x00\x00\x00\x02\r\n",
		refused: "-OOM no memory\r\n",
	},
	"list": {
		added: ":17\r\n", empty: "*-1\r\n", acked: ":1\r\n", ids: "\x00\x00\x00\x00\x00\x00\x00\x01",
		fetched: "$8\r\n\x00\x00\x00\x00\x00\x00\x00\x01\r\n", refused: "-OOM no memory\r\n",
	},
	"stream": {
		greeted: "+OK\r\n", added: "$3\r\n1-0\r\n", empty: "*-1\r\n", acked: ":2\r\n", ids: "1-0 1-1",
		fetched: "*1\r\n*2\r\n$5\r\nbench\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nb\r\n$8\r\n\x00\x00\x00\x00\x00\x00\x00\x01\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nb\r\n$8\r\n\x00\x00\x00\x00\x00\x00\x00\x02\r\n",
		refused: "-OOM no memory\r\n",
	},
	"beanstalkd": {
		greeted: "USING bench\r\n", added: "INSERTED 1\r\n", empty: "TIMED_OUT\r\n", acked: "DELETED\r\n", ids: "1",
		fetched: "RESERVED 1 8\r\n\x00\x00\x00\x00\x00\x00\x00\x01\r\n", refused: "DRAINING\r\n",
	},
}

// A reply is read when it is whole, whatever comes after it, and not before.
func TestRepliesInPieces(t *testing.T) {
	t.Parallel()
	for name, say := range replies {
		p := protocols[name](&Options{Queue: "bench", Size: 8, Depth: 2, Consumers: 1, Queues: 1}, 0)
		var got []string
		take := func(id, body []byte) error {
			require.Len(t, body, 8)
			got = append(got, string(id))
			return nil
		}
		for text, parse := range map[string]func(b []byte) (int, error){
			say.greeted: p.greeted, say.added: p.added,
			say.empty:   func(b []byte) (int, error) { return p.fetched(b, take) },
			say.fetched: func(b []byte) (int, error) { got = nil; return p.fetched(b, take) },
			say.acked:   func(b []byte) (int, error) { return p.acked(b, 2) },
		} {
			if text == "" { // it greets nobody
				continue
			}
			for n := range len(text) {
				used, err := parse([]byte(text[:n]))
				require.NoError(t, err, "%s: %q", name, text[:n])
				require.Zero(t, used, "%s: %q", name, text[:n])
			}
			used, err := parse([]byte(text + "rest"))
			require.NoError(t, err, "%s: %q", name, text)
			require.Equal(t, len(text), used, "%s: %q", name, text)
			if text == say.fetched {
				require.Equal(t, say.ids, strings.Join(got, " "), name)
			}
			_, err = parse([]byte(say.refused))
			require.Error(t, err, "%s: %q instead of %q", name, say.refused, text)
		}
	}
}

// Requests carry the number of the job where its consumer looks for it.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for name, make := range protocols {
		p := make(&Options{Queue: "bench", Size: 100, Depth: 1, Consumers: 1, Queues: 1}, 0)
		number := binary.BigEndian.AppendUint64(nil, 0x0102030405060708)
		request := p.add(nil, 0x0102030405060708)
		require.True(t, bytes.Contains(request, append(number, 0, 0, 0)), "%s: %q", name, request)
	}
	p := newDisque(&Options{Queue: "q", Size: 8, Depth: 1, Consumers: 2, Queues: 5}, 1)
	require.Contains(t, string(p.add(nil, 13)), "$7\r\nq.00003\r\n")
	var names []string
	for range 4 {
		request, _ := p.fetch(nil)
		names = append(names, string(request[bytes.Index(request, []byte("q.")):][:7]))
	}
	require.Equal(t, []string{"q.00001", "q.00003", "q.00001", "q.00003"}, names)
}

// What other systems than Linux have in the place of epoll does the same.
func TestGoroutines(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, phase := range Phases {
		o := Options{Addrs: []string{s.Addr}, Jobs: 2000, Depth: 16, Size: 1000, Rate: 10_000}
		require.NoError(t, o.fill(phase))
		p := newGoroutines(10 * time.Second)
		r, err := measure(context.Background(), o, phase, p)
		p.close()
		require.NoError(t, err)
		require.Equal(t, 2000, r.Jobs)
	}
	require.Equal(t, "0", s.Dial(t).Info("jobs", "registered_jobs"))
	p := newGoroutines(10 * time.Second)
	defer p.close()
	o := Options{Addrs: []string{s.Addr}, Jobs: 10, Timeout: 100 * time.Millisecond}
	require.NoError(t, o.fill("consume"))
	_, err := measure(context.Background(), o, "consume", p)
	require.ErrorContains(t, err, "0 came out")
}
