//go:build linux

package torture

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
	"github.com/disqo/disqo/store"
)

// lying is a broker whose only peer is gone, and somebody in the peer's place
// who can say what he likes: without cluster-secret everybody is believed.
type lying struct {
	p        *servertest.Process
	c        *servertest.Client
	bus      string
	self, id store.NodeID // of the broker, and of the peer

	mu  sync.Mutex
	got map[store.Kind][][]byte // what the broker said to the peer
}

func lies(t *testing.T, directives ...string) *lying {
	t.Helper()
	a, b := two(t, append(directives, "--cluster-node-timeout", "60000")...)
	l := &lying{p: a, c: a.Dial(t), bus: busOf(t, a), got: map[store.Kind][][]byte{}}
	at := busOf(t, b)
	l.self, l.id = nodeID(t, l.c.Self().ID), nodeID(t, b.Dial(t).Self().ID)
	b.Kill(t)
	posing(t, at, l.id[:], func(typ byte, payload []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.got[store.Kind(typ)] = append(l.got[store.Kind(typ)], payload)
	})
	servertest.Until(t, "the broker has a link to the impostor", patience, func() bool { return l.said(linkHello) > 0 && l.c.Linked(1) })
	return l
}

// said counts what the broker said to the peer.
func (l *lying) said(k store.Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got[k])
}

func (l *lying) pose(t *testing.T) *impostor {
	t.Helper()
	return pose(t, l.bus, l.id[:])
}

// counted returns how many messages made no sense and how many were of an
// unknown kind.
func (l *lying) counted(t *testing.T) (refused, unknown int) {
	t.Helper()
	return info(t, l.c, "cluster", "link_messages_refused"), info(t, l.c, "cluster", "link_messages_unknown")
}

// about returns a message of each kind that a node could send about a job.
func (l *lying) about(t *testing.T, job, queue string) (list []*message) {
	t.Helper()
	for _, k := range kinds() {
		list = append(list, &message{
			kind: k, id: packedID(t, job), who: l.id, left: 1000, holders: []store.NodeID{l.self, l.id}, count: 1, queue: queue,
			job: jobPart{created: 1, expires: 3_600_000, next: 1, retry: 60, repl: 2, body: "body"},
		})
	}
	return list
}

// A frame that no node sends ends the link, and nothing else.
func TestPeerWithDamagedFrames(t *testing.T) {
	l := lies(t)
	job := l.c.Job("mine", "body", "REPLICATE", "1")
	good := (&message{kind: store.MsgNeedJobs, queue: "none", count: 1}).frame()
	length := func(n uint32) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, n), 0, 0, 0, 0, 1, byte(store.MsgDelJob))
	}
	flipped := (&message{kind: store.MsgDelJob, id: packedID(t, job)}).frame()
	flipped[4] ^= 1
	const most = 513 << 20 // replication: the largest job and what stands around it
	before := standing(t, l.p, l.c)
	for _, test := range []struct {
		name, why string
		in        []byte
	}{
		{"length 0", "a frame's length is 0", length(0)},
		{"length 1", "a frame's length is 1", length(1)},
		{"length just above the limit", "a frame's length is 537919489", length(most + 1)},
		{"length 2^31", "a frame's length is 2147483648", length(1 << 31)},
		{"length 2^32-1", "a frame's length is 4294967295", length(math.MaxUint32)},
		{"checksum", "checksum", flipped},
		{"version 0", "version 0", frameOf(0, byte(store.MsgDelJob), flipped[10:])},
		{"version 3", "version 3", frameOf(3, byte(store.MsgDelJob), flipped[10:])},
		{"version 255", "version 255", frameOf(255, byte(store.MsgDelJob), flipped[10:])},
		{"hello again", "type 1", linkFrame(linkHello, helloOf(l.id[:], clusterName))},
		{"pong", "type 3", linkFrame(linkPong, make([]byte, 8))},
		{"bye", "so long", linkFrame(linkBye, []byte("so long"))},
	} {
		p := l.pose(t)
		p.send(t, good, test.in, flipped)
		p.thrownOut(t, test.why)
		require.Contains(t, l.c.Do("SHOW", job), "queued", test.name)
	}
	// A length that may be is waited for: in as much memory as arrived.
	for range 20 {
		p := l.pose(t)
		p.send(t, length(most), make([]byte, mib))
		_ = p.Close()
	}
	before.recovers(t, l.p, l.c, 64*mib)
}

// clocks are those of a job in SHOW.
var clocks = regexp.MustCompile(`within\r\n:\d+`)

// A message that is cut short at whatever place, or that says that more follows
// than does, is dropped and counted; so is one that contradicts itself. What the
// broker knows of the job does not change.
func TestPeerThatLiesAboutCounts(t *testing.T) {
	l := lies(t)
	const jobs = 50
	var ids []string
	for range jobs {
		ids = append(ids, l.c.Job("mine", "body", "REPLICATE", "1", "RETRY", "60"))
	}
	shown := func() string { return clocks.ReplaceAllString(l.c.Do("SHOW", ids[0]), "") }
	was := shown()
	before := standing(t, l.p, l.c)
	p := l.pose(t)

	var frames [][]byte
	for _, typ := range []byte{7, 8, 9} { // for links of a later version
		frames = append(frames, linkFrame(typ, []byte("x")))
	}
	for typ := 29; typ <= 255; typ++ {
		frames = append(frames, linkFrame(byte(typ), []byte(strings.Repeat("x", typ))))
	}
	p.send(t, frames...)
	p.heard(t)
	refused, unknown := l.counted(t)
	require.Equal(t, 0, refused)
	require.Equal(t, 227, unknown)

	frames = frames[:0]
	for _, m := range l.about(t, ids[0], "mine") {
		whole := m.payload()
		for n := range whole {
			frames = append(frames, linkFrame(byte(m.kind), whole[:n]))
		}
	}
	p.send(t, frames...)
	p.heard(t)
	sent := len(frames)
	refused, _ = l.counted(t)
	require.Equal(t, sent, refused)
	t.Logf("%d cut messages", sent)

	holders, queue, body := 3+24, 3+24+4, 0 // where the counts are
	le := binary.LittleEndian
	for _, m := range l.about(t, ids[0], "mine") {
		wrong := func(at int, value uint32, size int) {
			b := m.payload()
			if size == 2 {
				le.PutUint16(b[at:], uint16(value))
			} else {
				le.PutUint32(b[at:], value)
			}
			p.send(t, linkFrame(byte(m.kind), b))
			sent++
		}
		parts := partsOf[m.kind]
		if parts&partHolders != 0 {
			at := holders
			if parts&partState != 0 {
				at += 28
			}
			if parts&partNumber != 0 {
				at += 4
			}
			if parts&partCounts != 0 {
				at += 4
			}
			for _, n := range []uint32{100, 4096, 4097, math.MaxUint16} {
				wrong(at, n, 2)
			}
			if parts&partJob != 0 {
				queue = at + 2 + 2*20 + 34
				body = queue + 2
				wrong(queue, 9, 2)
				wrong(queue, 3, 2) // then the name is another queue's
				wrong(queue, 0, 2)
				wrong(queue, math.MaxUint16, 2)
				wrong(body, 5, 4)
				wrong(body, 1<<31, 4)
				wrong(body, math.MaxUint32, 4)
			}
		}
		if parts&partQueue != 0 {
			at := 3 + 24 + 4
			if parts&partState != 0 {
				at += 28
			}
			wrong(at, 5, 2)
			wrong(at, math.MaxUint16, 2)
		}
		if parts != 0 { // says that it has not what it must have
			b := m.payload()
			b[0] = 0
			p.send(t, linkFrame(byte(m.kind), b))
			sent++
		}
	}
	job := func(change func(m *message)) {
		for _, k := range []store.Kind{store.MsgReplJob, store.MsgYourJob} {
			m := l.about(t, ids[0], "mine")[k-store.MsgReplJob]
			change(m)
			p.send(t, m.frame())
			sent++
		}
	}
	job(func(m *message) { m.id = store.ID{} })
	job(func(m *message) { m.id[0] ^= 1 }) // the queue's hash
	job(func(m *message) { m.queue = "other" })
	job(func(m *message) { m.job.retry = 0 }) // the id says at least once
	job(func(m *message) { m.id[23] &^= 1 })  // and now at most once
	job(func(m *message) { m.job.repl = 0 })
	for _, never := range []uint64{1 << 46, math.MaxInt64, 1 << 63, math.MaxUint64} {
		job(func(m *message) { m.job.expires = never })
		job(func(m *message) { m.job.next = never })
		if never > math.MaxInt64 {
			job(func(m *message) { m.job.created = never })
		}
		for _, m := range l.about(t, ids[0], "mine") {
			if partsOf[m.kind]&partState != 0 {
				m.left = never
				p.send(t, m.frame())
				sent++
			}
		}
	}
	p.heard(t)
	refused, _ = l.counted(t)
	require.Equal(t, sent, refused)

	require.Equal(t, was, shown())
	require.Equal(t, jobs, info(t, l.c, "default", "registered_jobs"))
	require.Equal(t, fmt.Sprintf(":%d\r\n", jobs), l.c.Do("QLEN", "mine"))
	_ = p.Close()
	before.recovers(t, l.p, l.c, 64*mib)
	quietLog(t, l.p)
}

// What a peer may say, if only just, is borne: times and numbers at their limits,
// and holders of whom nobody has heard.
func TestPeerThatExaggerates(t *testing.T) {
	l := lies(t)
	const jobs = 200
	var ids []string
	for range jobs {
		ids = append(ids, l.c.Job("mine", "body", "REPLICATE", "1", "RETRY", "1"))
	}
	before := standing(t, l.p, l.c)
	p := l.pose(t)

	const last = 1<<46 - 1 // the latest time of a job
	rng := random(t)
	copies := 0
	for _, change := range []func(j *jobPart){
		func(j *jobPart) { j.expires = 0 },
		func(j *jobPart) { j.expires = last },
		func(j *jobPart) { j.next = last },
		func(j *jobPart) { j.created = math.MaxInt64 },
		func(j *jobPart) { j.retry = math.MaxUint32 },
		func(j *jobPart) { j.delay = math.MaxUint32 },
		func(j *jobPart) { j.repl = math.MaxUint16 },
		func(j *jobPart) {
			*j = jobPart{math.MaxInt64, last, last, math.MaxUint32, math.MaxUint32, math.MaxUint16, ""}
		},
	} {
		for _, k := range []store.Kind{store.MsgReplJob, store.MsgYourJob} {
			m := l.about(t, ids[0], "theirs")[k-store.MsgReplJob]
			m.id = store.NewID(store.Hash16([]byte("theirs")), [2]uint64{rng.Uint64(), rng.Uint64()}, [4]byte(l.id[:4]), 86_400, false)
			change(&m.job)
			p.send(t, m.frame(), m.frame())
			copies++
		}
	}
	for _, left := range []uint64{0, last} {
		for _, m := range l.about(t, ids[0], "mine") {
			if partsOf[m.kind]&partState != 0 {
				for _, number := range []uint32{0, math.MaxInt32, 1 << 31, math.MaxUint32} {
					m.left, m.number = left, number
					p.send(t, m.frame())
				}
			}
		}
	}
	p.heard(t)
	refused, _ := l.counted(t)
	require.Zero(t, refused)
	require.LessOrEqual(t, info(t, l.c, "default", "registered_jobs"), jobs+copies)
	well(t, l.p)

	used := cpu(t, l.p)
	var from uint32
	for k, n := range map[store.Kind]int{store.MsgHolders: 4096, store.MsgSetAck: 1000} {
		m := l.about(t, ids[1], "mine")[k-store.MsgReplJob]
		m.id = packedID(t, ids[1])
		if k == store.MsgSetAck { // of a job that nobody knows
			m.id[5]++
		}
		m.holders = freshIDs(n, &from)
		p.send(t, m.frame())
		p.heard(t)
		t.Logf("%s of %d new nodes: %v of the processor so far", k, n, cpu(t, l.p)-used)
		well(t, l.p)
	}
	require.Less(t, cpu(t, l.p)-used, 10*time.Second)

	m := &message{kind: store.MsgNeedJobs, queue: "mine", count: math.MaxUint32}
	p.send(t, m.frame())
	p.heard(t)
	servertest.Until(t, "it gives some", patience, func() bool { return l.said(store.MsgYourJob) >= jobs/4 })
	given := l.said(store.MsgYourJob)
	t.Logf("NEEDJOBS 2^32-1 of %d: %d are given", jobs, given)
	require.LessOrEqual(t, given, store.MostGiven)
	p.send(t, (&message{kind: store.MsgNeedJobs, queue: "mine", count: 0}).frame())
	p.heard(t)
	_ = p.Close()

	// The peer did nothing with them: no job is lost, each comes in the end.
	seen := map[string]bool{}
	w := dial(t, l.p.Addr)
	for len(seen) < jobs {
		_, err := fmt.Fprintf(w, "GETJOB COUNT %d FROM mine\r\n", jobs)
		require.NoError(t, err)
		got, _, err := w.jobs()
		require.NoError(t, err, "%d of %d", len(seen), jobs)
		for _, id := range got {
			seen[id] = true
			require.Contains(t, ":0 :1", strings.TrimSpace(l.c.Do("ACKJOB", id)))
		}
	}
	w.reset()
	before.recovers(t, l.p, l.c, 64*mib)
}

// Nodes that a peer makes up cost little, and keep no other from coming.
func TestPeerThatMakesUpNodes(t *testing.T) {
	l := lies(t)
	id := packedID(t, l.c.Job("mine", "body", "REPLICATE", "1"))
	id[5]++ // of no job that is known
	p := l.pose(t)
	used := cpu(t, l.p)
	var from uint32
	for range 8 {
		p.send(t, (&message{kind: store.MsgHolders, id: id, holders: freshIDs(4096, &from)}).frame())
		p.heard(t)
	}
	used = cpu(t, l.p) - used
	t.Logf("%v of the processor for %d nodes", used, from)
	require.Less(t, used, time.Second)
	third := start(t, "--cluster-name", clusterName)
	l.c.Meet(third.Dial(t))
	servertest.Until(t, "a third node is linked", patience, func() bool { return l.c.Linked(2) })
}

// Names of queues that a peer makes up take little memory that is not counted,
// and no more than maxmemory allows that is.
func TestPeerWithLongNames(t *testing.T) {
	for _, k := range []store.Kind{store.MsgNeedJobs, store.MsgPause} {
		t.Run(k.String(), func(t *testing.T) {
			l := lies(t, "--maxmemory", "16mb")
			before := standing(t, l.p, l.c)
			p := l.pose(t)
			for i := range 3000 {
				m := &message{kind: k, flags: store.FlagWaiting, count: 1, queue: fmt.Sprintf("%05d", i) + strings.Repeat("x", 60_000)}
				p.send(t, m.frame())
			}
			p.heard(t)
			p.send(t, (&message{kind: store.MsgPause, count: 1, queue: "mine"}).frame())
			p.heard(t)
			require.Equal(t, "+in\r\n", l.c.Do("PAUSE", "mine", "state"), "a name that may be")
			_ = p.Close()
			before.recovers(t, l.p, l.c, 64*mib)
		})
	}
}
