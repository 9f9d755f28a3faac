package clustered

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
	"github.com/disqo/disqo/store"
)

// framesOf takes what a link brought apart.
func framesOf(t *testing.T, b []byte) (list [][]byte) {
	t.Helper()
	require.Equal(t, byte('D'), b[0])
	for b = b[1:]; len(b) >= 8; {
		n := 8 + int(binary.LittleEndian.Uint32(b))
		if n > len(b) {
			break // not written down to its end
		}
		list, b = append(list, b[:n]), b[n:]
	}
	return list
}

// typeOf returns the type of a frame.
func typeOf(frame []byte) byte { return frame[9] }

// nextFrame reads one.
func nextFrame(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	b := make([]byte, 8)
	_, err := io.ReadFull(nc, b)
	require.NoError(t, err)
	b = append(b, make([]byte, binary.LittleEndian.Uint32(b))...)
	_, err = io.ReadFull(nc, b[8:])
	require.NoError(t, err)
	return b
}

const (
	helloFrame = 1 + iota
	pingFrame
	pongFrame
)

// replayTo speaks to a bus as the node whose hello it has, and waits until all
// is heard.
func replayTo(t *testing.T, g *gate, hello []byte, frames [][]byte) {
	t.Helper()
	nc, err := net.Dial("tcp", g.behind.String())
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	_, err = nc.Write(append([]byte{'D'}, hello...))
	require.NoError(t, err)
	require.EqualValues(t, helloFrame, typeOf(nextFrame(t, nc)))
	_, err = nc.Write(append(slices.Concat(frames...), frame(pingFrame, []byte("all?"))...))
	require.NoError(t, err)
	require.EqualValues(t, pongFrame, typeOf(nextFrame(t, nc)))
}

// traffic is what went on in a cluster of three before node 1 went away.
type traffic struct {
	*started
	gates []*gate
	acked map[string]bool // acknowledged, and forgotten everywhere
	spent map[string]bool // acknowledged, but node 1 has not heard of it
	left  map[string]bool // never delivered
	once  map[string]bool // at most once, delivered
	hello []byte          // of node 1
	said  [][]byte        // by node 1, to node 0
}

func busy(t *testing.T) *traffic {
	t.Helper()
	s, gates := gated(t, 3, "--shutdown-timeout", "0") // so that a node goes and hands nothing over
	tr := &traffic{started: s, gates: gates, acked: map[string]bool{}, spent: map[string]bool{}, left: map[string]bool{}, once: map[string]bool{}}
	for i := range 20 {
		for at, queue := range []string{"a", "b", "c"} {
			s.c[at].Job(queue, fmt.Sprint(i), "REPLICATE", "3", "RETRY", "1")
		}
		tr.left[s.c[1].Job("left", fmt.Sprint(i), "REPLICATE", "3", "RETRY", "1")] = true
		tr.spent[s.c[1].Job("spent", fmt.Sprint(i), "REPLICATE", "3", "RETRY", "1")] = true
		tr.once[s.c[1].Job("once", fmt.Sprint(i), "REPLICATE", "1", "RETRY", "0")] = true
	}
	consume := func(at int, queue string) {
		for range 20 {
			j := one(t, s.c[at], queue)
			s.c[at].Do("ACKJOB", j.id)
			if !tr.once[j.id] {
				tr.acked[j.id] = true
			}
		}
	}
	consume(1, "a") // from the node that has them to one that has consumers
	consume(0, "b")
	consume(0, "once")
	consume(2, "c")
	require.Len(t, tr.acked, 60)
	for id := range tr.acked {
		s.gone(id)
	}
	for _, b := range gates[0].links(gates[1].own()) {
		for _, f := range framesOf(t, b) {
			switch typ := typeOf(f); {
			case typ == helloFrame:
				tr.hello = f
			case typ >= byte(store.MsgReplJob):
				tr.said = append(tr.said, f)
			}
		}
	}
	require.NotEmpty(t, tr.hello)
	s.nodes[1].Stop(t)
	for id := range tr.spent {
		require.Equal(t, ":1\r\n", s.c[0].Do("ACKJOB", id))
		s.eventually("both know", func() bool { return s.state(0, id) == "acked" && s.state(2, id) == "acked" })
	}
	return tr
}

// Frames of a peer that come again, in any order, harm no node. No job that waits
// is lost, and none comes back whose acknowledgement is still known. A copy that
// is sent again after all have forgotten the job makes it anew; so does, of a job
// that is at most once, giving it again. Against that stand the order of TCP,
// which is one for each session, and cluster-secret.
func TestReplayedFrames(t *testing.T) {
	t.Parallel()
	tr := busy(t)
	kinds := map[store.Kind]int{}
	for _, f := range tr.said {
		kinds[store.Kind(typeOf(f))]++
	}
	t.Logf("%d frames: %v", len(tr.said), kinds)
	for _, k := range []store.Kind{store.MsgReplJob, store.MsgGotJob, store.MsgSetAck, store.MsgYourJob, store.MsgNeedJobs} {
		require.NotZero(t, kinds[k], k)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	reverse, shuffled := slices.Clone(tr.said), slices.Clone(tr.said)
	slices.Reverse(reverse)
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, order := range [][][]byte{tr.said, tr.said, reverse, shuffled} {
		for _, at := range []int{0, 2} {
			replayTo(t, tr.gates[at], tr.hello, order)
		}
	}
	got := map[string]int{} // deliveries of each job
	missing := len(tr.left)
	quiet := time.Now().Add(3 * time.Second) // RETRY is 1
	for end := time.Now().Add(patience); missing > 0 || time.Now().Before(quiet); {
		require.True(t, time.Now().Before(end), "%d jobs are missing", missing)
		for _, at := range []int{0, 2} {
			for _, j := range jobs(t, tr.c[at].Do("GETJOB", "TIMEOUT", "10", "COUNT", "100", "FROM", "a", "b", "c", "spent", "left", "once")) {
				tr.c[at].Do("ACKJOB", j.id) // known already, if the other node gave it too
				if tr.left[j.id] && got[j.id] == 0 {
					missing--
				}
				got[j.id]++
				require.True(t, tr.acked[j.id] || tr.spent[j.id] || tr.left[j.id] || tr.once[j.id], "nobody added %s", j.id)
				require.False(t, tr.spent[j.id], "%s was acknowledged", j.id)
			}
		}
	}
	again, twice := 0, 0
	for id, n := range got {
		if tr.acked[id] {
			again += n
		}
		if tr.once[id] {
			twice += n
		}
	}
	t.Logf("made anew by copies that were sent again: %d deliveries; at most once, given again: %d", again, twice)
}

// Who has heard how a node proved that it knows cluster-secret, and all that it said
// then, cannot prove it, nor say it again.
func TestReplayedHandshake(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3, "--cluster-secret", "secret")
	for _, c := range s.c {
		id := c.Job("q", "b", "REPLICATE", "3")
		c.Do("ACKJOB", id)
		s.gone(id)
	}
	heard := gates[0].begun(gates[1].own(), tlsByte)
	require.NotEmpty(t, heard)
	job := s.c[0].Job("kept", "b", "REPLICATE", "3", "RETRY", "60")
	for _, b := range heard {
		for at, g := range gates {
			if at == 1 {
				continue // its own
			}
			nc, err := net.Dial("tcp", g.behind.String())
			require.NoError(t, err)
			require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
			_, _ = nc.Write(b)             // may be closed already
			_, _ = io.Copy(io.Discard, nc) // it is closed
			_ = nc.Close()
		}
	}
	require.Equal(t, 3, s.copies(job))
	refused := 0
	for _, c := range s.c {
		n, err := strconv.Atoi(c.Info("cluster", "strangers_refused"))
		require.NoError(t, err)
		refused += n
	}
	require.Positive(t, refused, "it was found out")
	servertest.Whole(t, s.c...)
}

// Gossip that comes again, in any order, changes nothing: with and without a
// secret, which hides what it says and not that it is old.
func TestReplayedGossip(t *testing.T) {
	t.Parallel()
	for name, directives := range map[string][]string{"no secret": nil, "secret": {"--cluster-secret", "secret"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, gates := gated(t, 3, append(directives, "--cluster-node-timeout", "2000")...)
			require.Equal(t, "+OK\r\n", s.c[1].Do("CLUSTER", "LEAVING", "yes")) // what is old is false, too
			s.eventually("all hear it", func() bool { return leavingSeen(s, 1) })
			require.Equal(t, "+OK\r\n", s.c[1].Do("CLUSTER", "LEAVING", "no"))
			s.eventually("and hear no more of it", func() bool { return !leavingSeen(s, 1) })
			s.eventually("packets were heard", func() bool { return len(gates[0].gossip()) > 30 })
			packets := gates[0].gossip()
			rng := rand.New(rand.NewPCG(7, 7))
			rng.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
			udp, err := net.Dial("udp", gates[0].behind.String())
			require.NoError(t, err)
			defer func() { _ = udp.Close() }()
			for range 5 {
				for _, b := range packets {
					_, _ = udp.Write(b)
				}
				require.Equal(t, 3, s.copies(s.c[0].Job("q", "b", "REPLICATE", "3")))
			}
			t.Logf("%d packets", len(packets))
			servertest.Whole(t, s.c...)
			require.False(t, leavingSeen(s, 1))
		})
	}
}

// leavingSeen reports whether all others, or any, think that a node is leaving.
func leavingSeen(s *started, node int) bool {
	for i, c := range s.c {
		for _, r := range c.Rows() {
			if i != node && r.ID == s.ids[node] && r.Is("leaving") {
				return true
			}
		}
	}
	return false
}
