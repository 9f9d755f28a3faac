//go:build linux

package torture

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// Frames of a link, see replication/frame.go.
const (
	linkHello = 1 + iota
	linkPing
	linkPong
	linkBye

	frameHead   = 8 // length and checksum
	linkVersion = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// linkFrame returns a frame of a link.
func linkFrame(typ byte, payload []byte) []byte { return frameOf(linkVersion, typ, payload) }

func frameOf(version, typ byte, payload []byte) []byte {
	b := append(make([]byte, frameHead, frameHead+2+len(payload)), version, typ)
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)-frameHead))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[frameHead:], castagnoli))
	return b
}

// helloOf is what the node with an id says first.
func helloOf(id []byte, cluster string) []byte {
	b := append(slices.Clone(id), 1, 2, 3, 4, 5, 6, 7, 8, linkVersion, linkVersion, 0, 0, 0, 0, 0, byte(len(cluster)))
	return append(append(b, cluster...), 0)
}

// impostor has the link of a node to another one.
type impostor struct{ net.Conn }

// pose dials a bus as a node.
func pose(t *testing.T, bus string, id []byte) *impostor {
	t.Helper()
	nc, err := net.Dial("tcp", bus)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(2*patience)))
	p := &impostor{nc}
	p.send(t, []byte{'D'}, linkFrame(linkHello, helloOf(id, clusterName)))
	typ, text := p.next(t)
	require.EqualValues(t, linkHello, typ, "%q", text)
	return p
}

func (p *impostor) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	_, err := p.Write(slices.Concat(frames...))
	require.NoError(t, err)
}

// next reads a frame.
func (p *impostor) next(t *testing.T) (typ byte, payload []byte) {
	t.Helper()
	head := make([]byte, frameHead)
	_, err := io.ReadFull(p, head)
	require.NoError(t, err)
	body := make([]byte, binary.LittleEndian.Uint32(head))
	_, err = io.ReadFull(p, body)
	require.NoError(t, err)
	return body[1], body[2:]
}

// heard waits until the node has done what all frames say that were sent.
func (p *impostor) heard(t *testing.T) {
	t.Helper()
	p.send(t, linkFrame(linkPing, []byte("are you there?")))
	typ, text := p.next(t)
	require.EqualValues(t, linkPong, typ, "%q", text)
	require.Equal(t, "are you there?", string(text))
}

// thrownOut waits until the node ends the link, saying why.
func (p *impostor) thrownOut(t *testing.T, why string) {
	t.Helper()
	typ, text := p.next(t)
	require.EqualValues(t, linkBye, typ)
	require.Contains(t, string(text), why)
	_, err := p.Read(make([]byte, 1))
	require.True(t, refused(err), "%v", err)
}

// posing takes the place of a node that is gone: it listens where the node did,
// and answers whoever links to it. All but pings is handed to got.
func posing(t *testing.T, at string, id []byte, got func(typ byte, payload []byte)) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				_ = answer(nc, id, got)
			}()
		}
	}()
}

func answer(nc net.Conn, id []byte, got func(typ byte, payload []byte)) error {
	first := make([]byte, 1)
	if _, err := io.ReadFull(nc, first); err != nil || first[0] != 'D' {
		return err
	}
	for {
		head := make([]byte, frameHead)
		if _, err := io.ReadFull(nc, head); err != nil {
			return err
		}
		body := make([]byte, binary.LittleEndian.Uint32(head))
		if _, err := io.ReadFull(nc, body); err != nil {
			return err
		}
		var reply []byte
		switch typ, payload := body[1], body[2:]; typ {
		case linkHello:
			got(typ, payload)
			hello := helloOf(id, clusterName)
			copy(hello[20:28], payload[20:28]) // the session is the dialler's
			reply = linkFrame(linkHello, hello)
		case linkPing:
			reply = linkFrame(linkPong, payload)
		default:
			got(typ, payload)
		}
		if _, err := nc.Write(reply); err != nil {
			return err
		}
	}
}

// message is what nodes say about a job or a queue, see store/message.go. Its
// parts are written as they stand here, whether that makes sense or not.
type message struct {
	kind    store.Kind
	flags   byte
	turn    byte
	id      store.ID
	who     store.NodeID
	number  uint32
	left    uint64
	holders []store.NodeID
	count   uint32
	queue   string
	job     jobPart
}

type jobPart struct {
	created, expires, next uint64
	delay, retry           uint32
	repl                   uint16
	body                   string
}

const (
	partState = 1 << iota
	partNumber
	partCounts
	partHolders
	partQueue
	partJob
)

var partsOf = map[store.Kind]byte{
	store.MsgReplJob: partNumber | partHolders | partJob | partCounts, store.MsgYourJob: partNumber | partHolders | partJob | partCounts,
	store.MsgEnqueue: partState | partNumber, store.MsgWillQueue: partNumber, store.MsgQueued: partState | partNumber | partCounts,
	store.MsgLeased: partState | partNumber | partHolders, store.MsgWorking: partState | partNumber | partHolders,
	store.MsgSetAck: partHolders, store.MsgHolders: partHolders, store.MsgDropped: partHolders,
	store.MsgNeedJobs: partQueue, store.MsgPause: partQueue, store.MsgPurge: partState | partQueue,
	store.MsgFate: partCounts | partHolders, store.MsgGotFate: partCounts | partHolders,
}

// kinds are all of them.
func kinds() (list []store.Kind) {
	for k := store.MsgReplJob; k.Known(); k++ {
		list = append(list, k)
	}
	return list
}

func (m *message) payload() []byte {
	le := binary.LittleEndian
	parts := partsOf[m.kind]
	b := append([]byte{parts, m.flags, m.turn}, m.id[:]...)
	if parts&partState != 0 {
		b = le.AppendUint64(append(b, m.who[:]...), m.left)
	}
	if parts&partNumber != 0 {
		b = le.AppendUint32(b, m.number)
	}
	if parts&partCounts != 0 {
		b = append(b, 1, 0, 2, 0)
	}
	if parts&partHolders != 0 {
		b = le.AppendUint16(b, uint16(len(m.holders)))
		for _, h := range m.holders {
			b = append(b, h[:]...)
		}
	}
	if parts&partQueue != 0 {
		b = le.AppendUint16(le.AppendUint32(b, m.count), uint16(len(m.queue)))
		b = append(b, m.queue...)
	}
	if parts&partJob != 0 {
		b = le.AppendUint64(le.AppendUint64(le.AppendUint64(b, m.job.created), m.job.expires), m.job.next)
		b = le.AppendUint32(le.AppendUint32(b, m.job.delay), m.job.retry)
		b = le.AppendUint16(le.AppendUint16(b, m.job.repl), uint16(len(m.queue)))
		b = le.AppendUint32(b, uint32(len(m.job.body)))
		b = append(append(b, m.queue...), m.job.body...)
	}
	return b
}

func (m *message) frame() []byte { return linkFrame(byte(m.kind), m.payload()) }

// packedID returns a job id as links carry it.
func packedID(t *testing.T, text string) store.ID {
	t.Helper()
	id, ok, err := store.ParseID([]byte(text))
	require.NoError(t, err)
	require.True(t, ok)
	return id
}

// nodeID returns the bytes of a node's id.
func nodeID(t *testing.T, text string) (id store.NodeID) {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	require.Equal(t, len(id), copy(id[:], b))
	return id
}

// freshIDs are ids of nodes that never were.
func freshIDs(n int, from *uint32) []store.NodeID {
	list := make([]store.NodeID, n)
	for i := range list {
		*from++
		binary.BigEndian.PutUint32(list[i][:], *from)
		list[i][19] = 1
	}
	return list
}
