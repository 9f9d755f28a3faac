package server

import (
	"runtime"
	"sync/atomic"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// waiter is a GETJOB that waits for a job. Its claim is taken once: by the
// hand-off of a job, by a timeout, a disconnect or the end of the server. Its
// reply is made by whoever won, under the shard's lock if it is a job. When it
// has left its queues its session may use it for the next GETJOB, though who
// woke it may not yet have returned from wake.
type waiter struct {
	claimed  atomic.Bool
	done     atomic.Bool // the winner is finished with it
	wake     func()      // never changes
	ticket   *node.Ticket
	until    int64 // milliseconds, when it times out; 0: never
	counters bool
	muted    bool // CLIENT REPLY says that this GETJOB is not answered

	reply resp.Reply
	got   bool
	job   handed
	mark  node.Mark // must be safe before the job is handed on
}

// Claim implements node.Waiter.
func (w *waiter) Claim() bool { return w.claimed.CompareAndSwap(false, true) }

// Deliver implements node.Waiter.
func (w *waiter) Deliver(j *node.Job) {
	w.got = true
	w.job = handed{id: j.ID, lease: j.NextQueue, turn: j.Turn}
	w.reply.Array(1)
	writeJob(&w.reply, j, w.counters)
}

// Await implements node.Waiter.
func (w *waiter) Await(m node.Mark) {
	if w.got && w.job.id.AtMostOnce() {
		w.mark = m
	}
}

// Wake implements node.Waiter.
func (w *waiter) Wake() {
	w.done.Store(true)
	w.wake()
}

// await waits for a winner to finish; that is a matter of a shard's lock.
func (w *waiter) await() {
	for !w.done.Load() {
		runtime.Gosched()
	}
}

// begin makes it ready to wait.
func (w *waiter) begin() {
	w.claimed.Store(false)
	w.done.Store(false)
	w.ticket, w.until, w.got, w.job, w.mark = nil, 0, false, handed{}, node.Mark{}
	if w.reply.B = w.reply.B[:0]; cap(w.reply.B) > waiterBytes {
		w.reply.B = nil
	}
}

// waiterBytes is what a waiter keeps of the memory of its last reply.
const waiterBytes = 1 << 10

// block makes the session wait for a job of the queues.
func (s *session) block(req *getJob) {
	s.info.blocked.Store(true)
	if s.lapsed() {
		s.info.blocked.Store(false)
		s.fail(errLapsed)
		return
	}
	w := s.waited
	if w == nil {
		w = &waiter{wake: s.wake}
	}
	s.waited = nil
	w.begin()
	w.counters, w.muted, w.reply.Proto = req.counters, s.silent >= skipping, s.reply.Proto
	if req.timeout > 0 {
		w.until = s.srv.node.Now() + req.timeout
	}
	ticket, err := s.srv.node.Block(req.queues, w)
	if err != nil {
		s.info.blocked.Store(false)
		s.fail(err)
		return
	}
	w.ticket = ticket
	s.wait = w
	s.srv.stats.blocked.Add(1)
}

// endWait takes the waiter out of its queues; its claim must be taken, and the
// winner be finished with it.
func (s *session) endWait() {
	s.srv.node.Unblock(s.wait.ticket)
	s.waited, s.wait = s.wait, nil
	s.info.blocked.Store(false)
	s.srv.stats.blocked.Add(-1)
}

// settleWait completes a GETJOB whose wait is over: a job came, the server
// dismissed it, its time is up, or the node is leaving the cluster.
func (s *session) settleWait() bool {
	w := s.wait
	switch {
	case w.done.Load():
		s.answerWait(w, "")
	case w.until != 0 && s.srv.node.Now() >= w.until && w.Claim():
		s.answerWait(w, "")
	case s.srv.node.Leaving() && w.Claim():
		s.answerWait(w, leavingText)
	default:
		return false
	}
	return true
}

// answerWait ends a wait with the job that came, an error, or nothing.
func (s *session) answerWait(w *waiter, fault string) {
	s.endWait()
	from := len(s.reply.B)
	switch {
	case w.got:
		s.mark.Add(w.mark)
		w.job.start = s.base + uint64(from)
		s.reply.B = append(s.reply.B, w.reply.B...)
		w.job.end = s.base + uint64(len(s.reply.B))
		s.handed = append(s.handed, w.job)
	case fault != "":
		s.reply.Error(fault)
	default:
		s.reply.NullArray()
	}
	if w.muted {
		s.mute(from)
	}
}
