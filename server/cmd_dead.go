package server

import (
	"fmt"
	"math"

	"github.com/disqo/disqo/server/node"
)

// NACK id [id ...] [DELAY s] [REASON text]
func cmdNack(s *session, args [][]byte) {
	ids, how, err := cutRefusal(args, true)
	if err != nil {
		s.fail(err)
		return
	}
	s.each(ids, func(id *node.ID, m *node.Mark) (bool, error) { return s.srv.node.Nack(id, how, m) })
}

// BURY id [id ...] [REASON text]
func cmdBury(s *session, args [][]byte) {
	ids, how, err := cutRefusal(args, false)
	if err != nil {
		s.fail(err)
		return
	}
	var reason []byte
	if how != nil {
		reason = how.Reason
	}
	s.each(ids, func(id *node.ID, m *node.Mark) (bool, error) { return s.srv.node.Bury(id, reason, m) })
}

// cutRefusal takes the options of NACK, and of BURY, off the end of its words.
// how is nil if there are none. It aliases the arguments.
func cutRefusal(args [][]byte, delay bool) (ids [][]byte, how *node.Refusal, err error) {
	ids = args
	for i := 1; i < len(args); i++ {
		late, reason := delay && is(args[i], "DELAY"), is(args[i], "REASON")
		switch {
		case !late && !reason && how == nil:
			continue // an id
		case !late && !reason, i+1 == len(args):
			return nil, nil, errSyntax
		case how == nil:
			ids, how = args[:i], &node.Refusal{Delay: -1}
		}
		i++
		if reason {
			if how.Reason = args[i]; len(how.Reason) > node.MaxReason {
				return nil, nil, fault(fmt.Sprintf("ERR REASON of %d bytes exceeds %d", len(how.Reason), node.MaxReason))
			}
			continue
		}
		how.Delay, err = option(args[i], 0, maxSeconds, "ERR DELAY time must be a non negative number", "DELAY")
		if err != nil {
			return nil, nil, err
		}
	}
	return ids, how, nil
}

// KICK queue [COUNT n]
func cmdKick(s *session, args [][]byte) {
	count := int64(math.MaxInt32)
	switch {
	case len(args) == 2:
	case len(args) != 4 || !is(args[2], "COUNT"):
		s.fail(errSyntax)
		return
	default:
		var ok bool
		if count, ok = parseInt(args[3]); !ok || count <= 0 {
			s.fail(fault("ERR COUNT must be a number greater than zero"))
			return
		}
	}
	done, err := s.srv.node.Kick(args[1], int(min(count, math.MaxInt32)), &s.mark)
	if err != nil {
		s.fail(err)
		return
	}
	s.reply.Int(int64(done))
}

// KICKJOB id [id ...]
func cmdKickJob(s *session, args [][]byte) { s.each(args, s.srv.node.KickJob) }

// PROMOTE id [PRIORITY n]: to the very front if it does not say.
func cmdPromote(s *session, args [][]byte) {
	priority := int64(0)
	var err error
	switch {
	case len(args) == 2:
	case len(args) != 4 || !is(args[2], "PRIORITY"):
		err = errSyntax
	default:
		priority, err = option(args[3], 0, math.MaxUint32, errPriority, "")
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.each(args[:2], func(id *node.ID, m *node.Mark) (bool, error) { return s.srv.node.Promote(id, uint32(priority), m) })
}

const errPriority fault = "ERR PRIORITY must be between 0 and 4294967295; 0 is the most urgent"

// QPURGE queue [STATE s]... [bcast]
func cmdQPurge(s *session, args [][]byte) {
	var which node.Classes
	bcast := false
	for i := 2; i < len(args); i++ {
		switch {
		case is(args[i], "BCAST"):
			bcast = true
		case is(args[i], "STATE") && i+1 < len(args):
			i++
			c, ok := purgeable[lower(args[i])]
			if !ok {
				s.fail(fault("ERR STATE must be queued, active, delayed, wait-repl or dead"))
				return
			}
			which |= c
		default:
			s.fail(errSyntax)
			return
		}
	}
	if which == 0 {
		which = node.Purgeable
	}
	deleted, err := s.srv.node.Purge(args[1], which, bcast, &s.mark)
	if err != nil {
		s.fail(err)
		return
	}
	s.reply.Int(int64(deleted))
}

// purgeable are the states that QPURGE knows.
var purgeable = map[string]node.Classes{
	"queued":    node.ClassQueued.Of(),
	"active":    node.ClassActive.Of() | node.ClassDelayed.Of(),
	"delayed":   node.ClassDelayed.Of(),
	"wait-repl": node.ClassWaiting.Of(),
	"dead":      node.ClassDead.Of(),
}
