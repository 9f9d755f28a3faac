package server

import (
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// ADDJOB queue body ms-timeout [REPLICATE n] [SYNC n] [DELAY s] [RETRY s] [TTL s] [MAXLEN n] [PRIORITY n] [MAXTRIES n] [BACKOFF base max] [ASYNC]
func cmdAddJob(s *session, args [][]byte) {
	req, err := parseAddJob(args, s.srv.cfg.Get(), s.srv.node.DefaultCopies())
	if err != nil {
		s.fail(err)
		return
	}
	if s.spare == nil {
		s.spare = &adding{wake: s.wake}
	}
	req.spec.Adder = s.spare
	id, waits, err := s.srv.node.Add(&req.spec, req.async, &s.mark)
	if err != nil {
		s.fail(err)
		return
	}
	writeIDStatus(&s.reply, &id)
	if waits {
		s.keepAdding(&req, &id)
	}
}

// GETJOB [NOHANG] [TIMEOUT ms] [COUNT n] [WITHCOUNTERS] FROM queue [queue ...]
func cmdGetJob(s *session, args [][]byte) {
	req, err := parseGetJob(args, s.srv.cfg.Get())
	if err != nil {
		s.fail(err)
		return
	}
	got, err := s.fetch(&req)
	switch {
	case err != nil:
		s.fail(err)
	case got > 0:
	case req.nohang || s.inExec:
		s.reply.NullArray()
	case s.srv.node.Leaving() || s.left:
		s.reply.Error(leavingText)
	default:
		s.block(&req)
	}
}

// fetch answers with up to COUNT jobs that are there. A large reply ends early:
// COUNT is a maximum.
func (s *session) fetch(req *getJob) (got int, err error) {
	s.grow(s.fetched) // the next is like the last, and under a lock it should not be made
	from, first := len(s.reply.B), len(s.handed)
	room := from + fetchRoom(s.srv.cfg.Get().ClientOutputBufferLimit.Hard)
	s.reply.Array(req.count)
	head := len(s.reply.B) - from
	got, err = s.srv.node.Fetch(req.queues, req.count, &s.mark, func(j *node.Job) bool {
		h := handed{id: j.ID, lease: j.NextQueue, turn: j.Turn, start: s.base + uint64(len(s.reply.B))}
		writeJob(&s.reply, j, req.counters)
		h.end = s.base + uint64(len(s.reply.B))
		s.handed = append(s.handed, h)
		return len(s.reply.B) < room
	})
	if got == 0 {
		s.reply.B = s.reply.B[:from]
		return 0, err
	}
	s.fetched = len(s.reply.B) - from
	if got != req.count {
		s.recount(from, head, got, s.handed[first:])
	}
	return got, nil
}

// fetchMost is how many bytes one reply gathers before it takes no more jobs.
const fetchMost = 64 << 20

// fetchRoom is fetchMost, or what a client may leave unread if that is less.
func fetchRoom(hard int64) int {
	if hard <= 0 {
		return fetchMost
	}
	return int(min(hard, fetchMost))
}

// recount replaces the array header of head bytes at from, which announced
// more jobs than there were, and moves what follows.
func (s *session) recount(from, head, n int, jobs []handed) {
	var fresh resp.Reply
	fresh.Array(n)
	body := s.reply.B[from+head:]
	s.reply.B = append(append(s.reply.B[:from], fresh.B...), body...)
	moved := uint64(head - len(fresh.B))
	for i := range jobs {
		jobs[i].start -= moved
		jobs[i].end -= moved
	}
}

// writeJob writes a job as GETJOB and QPEEK show it.
func writeJob(r *resp.Reply, j *node.Job, counters bool) {
	if counters {
		r.Array(7)
	} else {
		r.Array(3)
	}
	r.BulkString(j.Queue)
	writeID(r, &j.ID)
	r.Bulk(j.Body)
	if counters {
		r.BulkString("nacks")
		r.Int(int64(j.Nacks))
		r.BulkString("additional-deliveries")
		r.Int(int64(j.Extra))
	}
}

func writeID(r *resp.Reply, id *node.ID) {
	r.B = append(r.B, "$40\r\n"...)
	r.B = id.AppendText(r.B)
	r.B = append(r.B, '\r', '\n')
}

// writeIDStatus writes an id as ADDJOB and JSCAN do: a status, no bulk string.
func writeIDStatus(r *resp.Reply, id *node.ID) {
	r.B = append(r.B, '+')
	r.B = id.AppendText(r.B)
	r.B = append(r.B, '\r', '\n')
}

// keepIDs is how many parsed ids' memory a session keeps between commands.
const keepIDs = 64

// each runs a command on many ids: all are checked first, and the reply is how
// many it did something to. An error of the log ends it: to say it again does
// the rest.
func (s *session) each(args [][]byte, do func(id *node.ID, m *node.Mark) (bool, error)) {
	var err error
	if s.ids, err = parseIDs(s.ids[:0], args[1:]); err != nil {
		s.fail(err)
		return
	}
	done := int64(0)
	for i := range s.ids {
		ok, err := do(&s.ids[i], &s.mark)
		if err != nil {
			s.fail(err)
			return
		}
		if ok {
			done++
		}
	}
	if cap(s.ids) > keepIDs {
		s.ids = nil
	}
	s.reply.Int(done)
}

// ACKJOB id [id ...]
func cmdAckJob(s *session, args [][]byte) { s.each(args, s.srv.node.Ack) }

// FASTACK id [id ...]
func cmdFastAck(s *session, args [][]byte) { s.each(args, s.srv.node.FastAck) }

// DELJOB id [id ...]
func cmdDelJob(s *session, args [][]byte) { s.each(args, s.srv.node.Delete) }

// ENQUEUE id [id ...]
func cmdEnqueue(s *session, args [][]byte) { s.each(args, s.srv.node.Enqueue) }

// DEQUEUE id [id ...]
func cmdDequeue(s *session, args [][]byte) { s.each(args, s.srv.node.Dequeue) }

// WORKING id
func cmdWorking(s *session, args [][]byte) {
	id, ok, err := node.ParseID(args[1])
	if err == nil && !ok {
		err = node.ErrNoJob
	}
	var retry uint32
	if err == nil {
		retry, err = s.srv.node.Working(&id, &s.mark)
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.reply.Int(int64(retry))
}

// SHOW id [FULL]
func cmdShow(s *session, args [][]byte) {
	id, ok, err := node.ParseID(args[1])
	if err != nil {
		s.fail(err)
		return
	}
	show := s.show
	if len(args) > 2 {
		show = s.showFull
	}
	if ok && s.srv.node.Get(&id, show) {
		return
	}
	if expires, kept := s.srv.node.Dummy(&id); ok && kept {
		s.showJob(&node.Job{ID: id, State: node.Acked, Expires: expires}, false, showPlain)
		return
	}
	s.reply.Null()
}

// show writes all about a job, in the reference's order.
func (s *session) show(j *node.Job) { s.showJob(j, true, showPlain) }

// showPlain and showMost are how many elements SHOW has, and SHOW FULL.
const (
	showPlain = 30
	showMost  = showPlain + 16
)

// showFull is show, and the terms of the job.
func (s *session) showFull(j *node.Job) {
	s.showJob(j, true, showMost)
	t := node.Terms{Priority: node.DefaultPriority}
	if j.Terms != nil {
		t = *j.Terms
	}
	r := &s.reply
	for _, f := range [...]struct {
		name  string
		value int64
	}{
		{"priority", int64(t.Priority)},
		{"max-tries", int64(t.Limit)},
		{"tries", int64(t.Tries)},
		{"backoff-base", int64(t.Base)},
		{"backoff-max", int64(t.Most)},
		{"backing-off", int64(bit(t.Held))},
		{"generation", int64(t.Generation)},
	} {
		r.BulkString(f.name)
		r.Int(f.value)
	}
	r.BulkString("reason")
	if len(t.Reason) == 0 {
		r.Null()
	} else {
		r.Bulk(t.Reason)
	}
}

// showJob is show, as the first of so many elements. Of a job that is not known,
// only its acknowledgement, there is neither queue nor body.
func (s *session) showJob(j *node.Job, known bool, elements int) {
	content := func(write func()) {
		if known {
			write()
		} else {
			s.reply.Null()
		}
	}
	now := s.srv.node.Now()
	r := &s.reply
	r.Array(elements)
	r.BulkString("id")
	writeID(r, &j.ID)
	r.BulkString("queue")
	content(func() { r.BulkString(j.Queue) })
	r.BulkString("state")
	r.BulkString(j.State.String())
	for _, f := range [...]struct {
		name  string
		value int64
	}{
		{"repl", int64(j.Repl)},
		{"ttl", max(0, (j.Expires-now+999)/1000)},
		{"ctime", j.Created},
		{"delay", int64(j.Delay)},
		{"retry", int64(j.Retry)},
		{"nacks", int64(j.Nacks)},
		{"additional-deliveries", int64(j.Extra)},
	} {
		r.BulkString(f.name)
		r.Int(f.value)
	}
	r.BulkString("nodes-delivered")
	s.names(j.Holders)
	r.BulkString("nodes-confirmed")
	s.names(j.Confirmed)
	requeue := j.Requeue(now)
	r.BulkString("next-requeue-within")
	awake := j.Expires
	if requeue == 0 {
		r.Null()
	} else {
		r.Int(max(0, requeue-now))
		awake = min(awake, requeue)
	}
	r.BulkString("next-awake-within")
	r.Int(max(0, awake-now))
	r.BulkString("body")
	content(func() { r.Bulk(j.Body) })
}

// names writes the ids of nodes.
func (s *session) names(set node.Set) {
	names := s.srv.node.Names(set)
	s.reply.Array(len(names))
	for _, name := range names {
		s.reply.BulkString(name)
	}
}

// LOADJOB is part of the reference's log, not of its protocol.
func cmdLoadJob(s *session, _ [][]byte) {
	s.reply.Error("ERR LOADJOB is a special command only processed from AOF")
}
