package server

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/node"
)

// adding is an ADDJOB that waits for copies of its job on other nodes. Its reply
// is in the output already, as it will be if all goes well; the output is held
// back from there on. Commands behind it go on, if their order does not matter.
type adding struct {
	id      node.ID
	at      int   // where its reply begins in the session's output
	bytes   int   // of the job
	until   int64 // milliseconds, when it times out; 0: never
	began   int64 // ticks, if the time is taken
	outcome atomic.Int32
	wake    func()
}

// The outcomes of an adding.
const (
	addWaits int32 = iota
	addDone
	addRemoved
)

// Added implements node.Adder.
func (a *adding) Added(err error) {
	if err == nil {
		a.outcome.Store(addDone)
	} else {
		a.outcome.Store(addRemoved)
	}
	a.wake()
}

// An ADDJOB's reply is "+", an id and the end of a line.
const idReply = 1 + 40 + 2

// So many ADDJOBs, and bytes of their jobs, may wait before a session executes
// no more.
const (
	addingMost      = 1024
	addingMostBytes = 4 << 20
)

// keepAdding keeps an ADDJOB whose reply was just written, as the adding that was
// to spare: the node knows that one.
func (s *session) keepAdding(req *addJob, id *node.ID) {
	a := s.spare
	s.spare = nil
	a.id, a.bytes, a.at = *id, len(req.spec.Body), len(s.reply.B)-idReply
	if req.timeout > 0 {
		a.until = s.srv.node.Now() + req.timeout
	}
	if s.srv.http != nil {
		a.began = s.srv.ticks()
	}
	s.adding = append(s.adding, a)
	s.addingBytes += a.bytes
}

// adds reports whether an ADDJOB waits.
func (s *session) adds() bool { return len(s.adding) > 0 }

// addsHalt reports whether no command may be executed before some ADDJOB is done.
func (s *session) addsHalt() bool {
	return s.adds() && (s.parked != nil || len(s.adding) >= addingMost || s.addingBytes >= addingMostBytes)
}

// ready returns how many bytes of the output may be sent.
func (s *session) ready() int {
	if len(s.adding) > 0 {
		return s.adding[0].at
	}
	return len(s.reply.B)
}

// settleAdding completes the ADDJOBs whose wait is over, and reports whether that
// lets something be sent.
func (s *session) settleAdding() bool {
	if len(s.adding) == 0 {
		return false
	}
	was, now := s.ready(), int64(0)
	kept := s.adding[:0]
	s.addingUntil = 0
	moved := 0 // bytes by which what is behind has moved
	for _, a := range s.adding {
		a.at += moved
		text := ""
		switch a.outcome.Load() {
		case addDone:
			if a.began != 0 {
				took := s.srv.ticks() - a.began
				s.srv.stats.copies.add(time.Duration(took))
				s.srv.stats.copies.nanos.Add(took)
			}
		case addRemoved:
			text = "NOREPL job removed (expired?) before the requested replication level was achieved"
		default:
			if now == 0 {
				now = s.srv.node.Now()
			}
			if a.until != 0 && now >= a.until {
				text = s.giveUp(a)
			}
			if text == "" {
				if a.until != 0 && (s.addingUntil == 0 || a.until < s.addingUntil) {
					s.addingUntil = a.until
				}
				kept = append(kept, a)
				continue
			}
		}
		s.addingBytes -= a.bytes
		if text != "" {
			moved += s.replace(a.at, text)
		}
	}
	clear(s.adding[len(kept):])
	s.adding = kept
	return s.ready() > was
}

// giveUpAgain is the time until an ADDJOB that could not be given up is looked at
// again, milliseconds.
const giveUpAgain = 1000

// hurry bounds the wait of all ADDJOBs: their client has closed its side, and may
// be gone.
func (s *session) hurry(most int64) {
	if !s.adds() {
		return
	}
	until := s.srv.node.Now() + most
	for _, a := range s.adding {
		if a.until == 0 || a.until > until {
			a.until = until
		}
	}
	s.addingUntil = until
}

// giveUp ends the wait of an ADDJOB whose time is up and returns its error, "" if
// it was done at the last moment.
func (s *session) giveUp(a *adding) string {
	confirmed, silent, ok, err := s.srv.node.GiveUp(&a.id, &s.mark)
	if err != nil { // the log has no room
		a.until += giveUpAgain
		return ""
	}
	if !ok {
		a.until = 0 // its outcome is on the way
		return ""
	}
	text := fmt.Sprintf("NOREPL Timeout reached before replicating to the requested number of nodes: copies on %d", confirmed)
	if len(silent) > 0 {
		text += ", no answer from " + strings.Join(silent[:min(len(silent), 8)], " ")
	}
	return text
}

// replace puts an error in the place of an ADDJOB's reply and returns by how many
// bytes what follows has moved.
func (s *session) replace(at int, text string) int {
	rest := string(s.reply.B[at+idReply:])
	s.reply.B = s.reply.B[:at]
	s.reply.Error(text)
	moved := len(s.reply.B) - at - idReply
	s.reply.B = append(s.reply.B, rest...)
	for i := range s.handed {
		if h := &s.handed[i]; h.start >= s.base+uint64(at) {
			h.start += uint64(moved)
			h.end += uint64(moved)
		}
	}
	return moved
}

// dropAdding takes back the jobs of all ADDJOBs that wait: nobody is there any
// more to be told of them.
func (s *session) dropAdding() {
	for _, a := range s.adding {
		if a.outcome.Load() == addWaits {
			_, _, _, _ = s.srv.node.GiveUp(&a.id, &node.Mark{}) // else it stays until its copies or its TTL
		}
	}
	s.adding = nil
}

// muteAdding forgets ADDJOBs that are not answered: their jobs go on.
func (s *session) muteAdding(from int) {
	for k := len(s.adding); k > 0 && s.adding[k-1].at >= from; k-- {
		s.addingBytes -= s.adding[k-1].bytes
		s.adding[k-1] = nil
		s.adding = s.adding[:k-1]
	}
}

// park keeps a command that must not overtake the ADDJOBs that wait.
func (s *session) park(args [][]byte) {
	s.parked = make([][]byte, len(args))
	for i, a := range args {
		s.parked[i] = append([]byte{}, a...)
	}
}

// unpark executes the command that was kept.
func (s *session) unpark() {
	args := s.parked
	s.parked = nil
	s.exec(args)
}
