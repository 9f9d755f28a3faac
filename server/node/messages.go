package node

import (
	"encoding/hex"
	"errors"
	"log/slog"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/cluster/crowd"
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
	"github.com/disqo/disqo/store/planted"
)

// post puts what a change has to say into the outboxes of the peers. The shard's
// lock is held. j is the log that the change was journalled in, nil if there is
// none.
func (n *Node) post(sh *shard, j *journal) {
	out := &sh.fx.Outbox
	if n.peers.links == nil {
		out.Reset()
		return
	}
	from := 0
	for i := range out.Mail {
		mail := &out.Mail[i]
		payload := out.Buf[from:mail.End]
		from = mail.End
		sh.frame = append(replication.BeginFrame(sh.frame[:0], byte(mail.Kind)), payload...)
		replication.EndFrame(sh.frame, 0)
		var wait replication.Waiter
		if mail.Safe && j != nil && !planted.Is(planted.GotJobBeforeLog) {
			wait = safety{j}
		}
		mail.To.Each(func(number uint16) bool {
			n.peers.links.Post(n.peers.roll.ID(number), sh.frame, wait)
			return true
		})
	}
	if cap(sh.frame) > frameKeep {
		sh.frame = nil
	}
	out.Reset()
}

// frameKeep is how many bytes a shard keeps for the next message.
const frameKeep = 64 << 10

// safety waits until what a message depends on is safe. Messages of two shards
// may be posted in another order than their places in the log have: it waits for
// all that is in the log by the time it is asked, so the last of many covers the
// others.
type safety struct{ j *journal }

func (s safety) Wait() error { return s.j.log.Commit(s.j.log.End()) }

// receive does what a message of a peer says. Links call it, one after the other
// for each peer.
func (n *Node) receive(from store.NodeID, _ uint64, typ byte, payload []byte) {
	p := &n.peers
	p.resetting.RLock()
	defer p.resetting.RUnlock()
	number, ok := (*p.members.Load())[from]
	kind := store.Kind(typ)
	switch {
	case !ok:
		return
	case !kind.Known():
		p.unknown.Add(1)
		return
	}
	m, err := store.DecodeMessage(kind, payload, p.roll)
	if err != nil {
		n.refuse(from, err)
		return
	}
	err = n.take(number, m)
	if (kind == store.MsgYourJob || kind == store.MsgReplJob) && errors.Is(err, errNoRoom) {
		_ = n.apply(n.byHash(m.Hash()), room{}, &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) { s.Refuse(now, number, m, fx) })
	}
}

// errNoRoom says that this node takes no job.
var errNoRoom = errors.New("node: no room for another job")

func (n *Node) take(from uint16, m *store.Message) error {
	need := forJobs(1)
	switch m.Kind {
	case store.MsgReplJob, store.MsgYourJob:
		if n.Leaving() || n.Level() > 0 {
			return errNoRoom
		}
		need = room{m.PutSize() + aof.RecordOverhead + recordRoom, aof.Ordinary}
	case store.MsgNeedJobs:
		need = forJobs(store.MostGiven)
	case store.MsgPurge:
		n.purgeLater(m)
		return nil
	case store.MsgPause:
		if len(m.Queue) > store.LongName && n.Level() > 0 {
			return errNoRoom
		}
		need.bytes += len(m.Queue)
	}
	if m.Terms != nil && m.Job == nil {
		need.bytes += len(m.Terms.Reason)
	}
	err := n.apply(n.byHash(m.Hash()), need, &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
		_ = s.Receive(now, from, m, fx) // who sent a job hears of it
	})
	if err != nil {
		return errNoRoom
	}
	return nil
}

// refuse counts a message that is impossible, and logs one of a peer a minute.
func (n *Node) refuse(from store.NodeID, err error) {
	p := &n.peers
	count := p.refused.Add(1)
	peer := hex.EncodeToString(from[:])
	p.lines.Say(slog.LevelWarn, crowd.Known(peer), "a message of a peer makes no sense and is dropped", "peer", peer, "error", err, "dropped", count)
}

// BadMessages returns how many messages of peers made no sense, and how many were
// of a kind that this version does not know.
func (n *Node) BadMessages() (impossible, unknown int64) {
	return n.peers.refused.Load(), n.peers.unknown.Load()
}
