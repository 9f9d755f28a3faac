package server

import (
	"math"
	"strconv"

	"github.com/disqo/disqo/server/node"
)

// QLEN queue
func cmdQLen(s *session, args [][]byte) { s.reply.Int(int64(s.srv.node.QueueLen(args[1]))) }

// QPEEK queue count: from the oldest, or with a negative count from the newest.
// The reply ends early when it is as large as a client may leave unread.
func cmdQPeek(s *session, args [][]byte) {
	n, ok := parseInt(args[2])
	if !ok || n == math.MinInt64 {
		s.fail(errNotInteger)
		return
	}
	newest := n < 0
	count := int(min(max(n, -n), math.MaxInt32))
	from := len(s.reply.B)
	room := from + fetchRoom(s.srv.cfg.Get().ClientOutputBufferLimit.Hard)
	s.reply.Array(count)
	head := len(s.reply.B) - from
	got := 0
	s.srv.node.Peek(args[1], count, newest, func(j *node.Job) bool {
		writeJob(&s.reply, j, false)
		got++
		return len(s.reply.B) < room
	})
	if got != count {
		s.recount(from, head, got, nil)
	}
}

// QSTAT queue [FULL]
func cmdQStat(s *session, args [][]byte) {
	q, ok := s.srv.node.QueueStat(args[1])
	if !ok {
		s.reply.NullArray()
		return
	}
	now := s.srv.node.Now()
	r := &s.reply
	const plain, most = 20, 44
	if len(args) > 2 {
		r.Array(most)
	} else {
		r.Array(plain)
	}
	r.BulkString("name")
	r.BulkString(q.Name)
	number := func(name string, n int64) {
		r.BulkString(name)
		r.Int(n)
	}
	number("len", int64(q.Len))
	number("age", (now-q.Created)/1000)
	number("idle", (now-q.Active)/1000)
	number("blocked", int64(q.Blocked))
	r.BulkString("import-from")
	s.names(q.From)
	number("import-rate", int64(q.Rate))
	number("jobs-in", int64(q.Counts.Events[node.EventQueued]))
	number("jobs-out", int64(q.Counts.Events[node.EventLeft]))
	r.BulkString("pause")
	r.BulkString(q.Pause.String())
	if len(args) == 2 {
		return
	}
	number("active", int64(q.Counts.Jobs[node.ClassActive]))
	number("delayed", int64(q.Counts.Jobs[node.ClassDelayed]))
	number("dead", int64(q.Counts.Jobs[node.ClassDead]))
	oldest := int64(0)
	if q.Oldest > 0 {
		oldest = max(0, now-q.Oldest/1e6) / 1000
	}
	number("oldest-age", oldest)
	for _, e := range events {
		number(e.short, int64(q.Counts.Events[e.event]))
	}
}

// events are the events that are counted, as QSTAT FULL and INFO call them.
var events = [...]struct {
	event       node.Event
	short, long string
}{
	{node.EventDelivered, "delivered", "total_jobs_delivered"},
	{node.EventAcked, "acked", "total_jobs_acked"},
	{node.EventNacked, "nacked", "total_jobs_nacked"},
	{node.EventExpired, "expired", "total_jobs_expired"},
	{node.EventRetried, "retries", "total_jobs_retries"},
	{node.EventDied, "died", "total_jobs_died"},
	{node.EventKicked, "kicked", "total_jobs_kicked"},
	{node.EventPurged, "purged", "total_jobs_purged"},
}

// PAUSE queue option [option ...]: the options say what the pause shall be,
// whatever it was; state alone asks.
func cmdPause(s *session, args [][]byte) {
	name := args[1]
	if err := checkQueueName(name, s.srv.cfg.Get()); err != nil {
		s.fail(err)
		return
	}
	pause, set, bcast := node.Pause(0), false, false
	for _, word := range args[2:] {
		switch {
		case is(word, "none"):
			pause, set = 0, true
		case is(word, "in"):
			pause, set = pause|node.PauseIn, true
		case is(word, "out"):
			pause, set = pause|node.PauseOut, true
		case is(word, "all"):
			pause, set = node.PauseIn|node.PauseOut, true
		case is(word, "bcast"):
			bcast = true
		case is(word, "state"):
		default:
			s.fail(errSyntax)
			return
		}
	}
	if !set {
		pause = s.srv.node.PauseState(name)
	}
	if set || bcast {
		if err := s.srv.node.SetPause(name, pause, bcast, &s.mark); err != nil {
			s.fail(err)
			return
		}
	}
	s.reply.Status(pause.String())
}

// scanArgs are the options that QSCAN and JSCAN share.
type scanArgs struct {
	cursor   uint64
	count    int64
	busyloop bool
}

// parse reads the words of QSCAN and JSCAN: own is asked first and returns how
// many words it took, 0 if the word is none of its options.
func (a *scanArgs) parse(args [][]byte, own func(word []byte, rest [][]byte) (int, error)) error {
	a.count = 100
	cursor := false
	for i := 1; i < len(args); i++ {
		word, rest := args[i], args[i+1:]
		switch took, err := own(word, rest); {
		case err != nil:
			return err
		case took > 0:
			i += took
			continue
		}
		switch {
		case is(word, "BUSYLOOP"):
			a.busyloop = true
		case is(word, "COUNT") && len(rest) > 0:
			i++
			n, ok := parseInt(rest[0])
			if !ok {
				return errNotInteger
			}
			a.count = n
		case cursor:
			return errSyntax
		default:
			var ok bool
			if a.cursor, ok = parseCursor(word); !ok {
				return fault("ERR invalid cursor or option name")
			}
			cursor = true
		}
	}
	return nil
}

// parseCursor accepts what the reference does: any number, the empty string.
func parseCursor(b []byte) (uint64, bool) {
	if n, err := strconv.ParseUint(string(b), 10, 64); err == nil {
		return n, true
	}
	n, ok := parseInt(b)
	return uint64(n), ok
}

// steps returns how many positions to visit and how many matches are enough;
// negative is no bound. COUNT is a hint of the work to do: ten positions for
// each element wanted, one position for COUNT 0.
func (a *scanArgs) steps() (steps, enough int) {
	if a.busyloop || a.count < 0 {
		return -1, -1
	}
	n := int(min(a.count, math.MaxInt32))
	return max(1, n*10), max(1, n)
}

// answerScan gathers the elements that walk writes, until it says that there
// are enough of them or a reply has its full size, and writes cursor and array.
func (s *session) answerScan(a *scanArgs, walk func(cursor uint64, steps int, more func() bool) uint64) {
	steps, enough := a.steps()
	from := len(s.reply.B)
	limit := fetchRoom(s.srv.cfg.Get().ClientOutputBufferLimit.Hard)
	n := 0
	next := walk(a.cursor, steps, func() bool {
		n++
		return (enough < 0 || n < enough) && len(s.reply.B)-from < limit
	})
	if a.busyloop && next != 0 {
		s.reply.B = s.reply.B[:from]
		s.errorf("ERR the reply would exceed %d bytes; scan with a cursor instead of BUSYLOOP", limit)
		return
	}
	items := append([]byte(nil), s.reply.B[from:]...)
	s.reply.B = s.reply.B[:from]
	s.reply.Array(2)
	s.reply.BulkString(strconv.FormatUint(next, 10))
	s.reply.Array(n)
	s.reply.B = append(s.reply.B, items...)
}

// QSCAN shows the queues that the user may name.
//
// QSCAN [cursor] [COUNT n] [BUSYLOOP] [MINLEN n] [MAXLEN n] [IMPORTRATE n]
func cmdQScan(s *session, args [][]byte) {
	minLen, maxLen, rate := int64(-1), int64(-1), int64(-1)
	var a scanArgs
	err := a.parse(args, func(word []byte, rest [][]byte) (int, error) {
		var into *int64
		switch {
		case len(rest) == 0:
			return 0, nil
		case is(word, "MINLEN"):
			into = &minLen
		case is(word, "MAXLEN"):
			into = &maxLen
		case is(word, "IMPORTRATE"):
			into = &rate
		default:
			return 0, nil
		}
		n, ok := parseInt(rest[0])
		if !ok {
			return 0, errNotInteger
		}
		*into = n
		return 1, nil
	})
	if err != nil {
		s.fail(err)
		return
	}
	u := s.self()
	s.answerScan(&a, func(cursor uint64, steps int, more func() bool) uint64 {
		return s.srv.node.ScanQueues(cursor, steps, false, func(q node.QueueStat) bool {
			if !u.Queue(q.Name) {
				return true
			}
			if l := int64(q.Len); minLen >= 0 && l < minLen || maxLen >= 0 && l > maxLen || rate > int64(q.Rate) {
				return true
			}
			s.reply.BulkString(q.Name)
			return more()
		})
	})
}

// JSCAN shows the jobs of queues that the user may name.
//
// JSCAN [cursor] [COUNT n] [BUSYLOOP] [QUEUE q] [STATE s]... [REPLY id|all]
func cmdJScan(s *session, args [][]byte) {
	var queue []byte
	var states [node.NumStates]bool
	anyState, all := true, false
	var a scanArgs
	err := a.parse(args, func(word []byte, rest [][]byte) (int, error) {
		if len(rest) == 0 {
			return 0, nil
		}
		switch {
		case is(word, "QUEUE"):
			queue = rest[0]
			if queue == nil {
				queue = []byte{}
			}
		case is(word, "STATE"):
			st, ok := node.ParseState(lower(rest[0]))
			if !ok {
				return 0, fault("ERR Invalid job state name")
			}
			states[st], anyState = true, false
		case is(word, "REPLY") && is(rest[0], "ALL"):
			all = true
		case is(word, "REPLY") && is(rest[0], "ID"):
			all = false
		case is(word, "REPLY"):
			return 0, fault("ERR Invalid REPLY type, try ID or ALL")
		default:
			return 0, nil
		}
		return 1, nil
	})
	if err != nil {
		s.fail(err)
		return
	}
	u := s.self()
	s.answerScan(&a, func(cursor uint64, steps int, more func() bool) uint64 {
		return s.srv.node.ScanJobs(cursor, steps, queue, func(j *node.Job) bool {
			switch {
			case queue != nil && j.Queue != string(queue), !anyState && !states[j.State], !u.Queue(j.Queue):
				return true
			case all:
				s.show(j)
			default:
				writeIDStatus(&s.reply, &j.ID)
			}
			return more()
		})
	})
}
