package server

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// session is one client's conversation: commands in, reply bytes out. It never
// blocks: a GETJOB that has to wait leaves the session halted until settle
// finds it done. It belongs to one goroutine.
type session struct {
	srv  *Server
	info *clientInfo
	wake func() // passed to whoever will complete something

	reply   resp.Reply
	base    uint64         // bytes of replies before reply.B
	known   *acl.User      // whose info.login is, as last looked; nil: nobody's
	userCfg *config.Config // by which
	lim     resp.Limits
	limCfg  *config.Config // what lim was made from

	wait        *waiter   // a blocked GETJOB, nil if none
	waited      *waiter   // the last one, for the next; nil if there is none
	adding      []*adding // ADDJOBs that wait for their copies, in order
	spare       *adding   // for the next ADDJOB: few wait
	addingBytes int       // of their jobs
	addingUntil int64     // when the first of them times out, 0 if none does
	parked      [][]byte  // a command that waits for them, nil if none does
	pauseTo     int64     // DEBUG SLEEP: halted until then, milliseconds; 0 if not
	held        bool      // was halted when hold or settle last looked
	closing     bool      // close when the replies are sent
	left        bool      // was told that the server stops

	silent   silence
	tx       *transaction // MULTI was said
	inExec   bool         // commands of a transaction are running
	handed   []handed     // jobs delivered in replies that are not all sent
	fetched  int          // bytes of the last reply to a GETJOB that was not blocked
	mark     node.Mark    // what must be safe before the replies are sent
	ids      []node.ID    // scratch of each
	lastTick int64        // srv.ticks() when the last command ended

	monitoring bool
	monitored  func([]byte) // takes MONITOR's lines; any goroutine
}

// silence is what CLIENT REPLY asked for.
type silence uint8

const (
	speaking   silence = iota
	skipNext           // the next command is not answered
	skipping           // this command is not answered
	speechless         // nothing is answered
)

// handed is a job in the output: if its reply cannot be written, it goes back.
type handed struct {
	id         node.ID
	lease      int64
	turn       uint8
	start, end uint64 // where its bytes are in all the bytes of this client
}

func (s *session) init(srv *Server, info *clientInfo, wake func()) {
	s.srv, s.info, s.wake = srv, info, wake
	s.reply.Proto = 2
	s.setLogin(login{})
}

// halted reports whether no further command may be executed now. A server that
// stops waits for nobody's pause: what was received is executed.
func (s *session) halted() bool {
	return s.wait != nil || s.addsHalt() || !s.srv.stopping.Load() && (s.pauseTo != 0 || s.srv.paused())
}

// hold is halted, for whoever is about to execute a command: settle will say
// when it can go on, however soon that is.
func (s *session) hold() bool {
	s.held = s.halted()
	return s.held
}

// blocked reports whether a GETJOB waits.
func (s *session) blocked() bool { return s.wait != nil }

// dismissed reports whether what a blocked GETJOB waited for has come.
func (s *session) dismissed() bool { return s.wait.done.Load() }

// deadline returns when a session that was held when settle last looked must be
// settled again without being woken; zero if only a wake will do. It asks for
// nothing that may have changed since: a pause that has just ended is a
// deadline in the past.
func (s *session) deadline() (at time.Time) {
	var until int64
	switch {
	case s.wait != nil:
		until = s.wait.until
	case s.pauseTo != 0:
		until = s.pauseTo
	case s.adds():
	default:
		until = s.srv.pausedUntil.Load()
	}
	if s.addingUntil != 0 && (until == 0 || s.addingUntil < until) {
		until = s.addingUntil
	}
	if until == 0 {
		return at
	}
	return time.Now().Add(time.Duration(until-s.srv.node.Now()) * time.Millisecond)
}

// settle completes what can be completed, and reports whether the session has
// something to send or can go on.
func (s *session) settle() bool {
	progress := s.settleAdding()
	progress = s.wait != nil && s.settleWait() || progress
	if s.pauseTo != 0 && s.srv.node.Now() >= s.pauseTo {
		s.pauseTo = 0
	}
	was := s.held
	s.held = s.halted()
	return progress || was && !s.held
}

// stop ends the session because the server stops: what was executed is
// answered, a consumer that waits is told.
func (s *session) stop() {
	if s.left {
		return
	}
	s.left, s.closing = true, true
	if s.wait != nil && s.wait.Claim() {
		s.answerWait(s.wait, leavingText)
	}
}

// close is called once, when the connection is gone; sent is how many bytes of
// its replies the kernel took. Jobs in replies that were not written go back;
// an at-most-once job only if no byte of its reply was handed over.
func (s *session) close(sent uint64) {
	if w := s.wait; w != nil {
		if !w.Claim() {
			w.await()
			s.settleWait()
		} else {
			s.endWait()
		}
	}
	s.dropAdding()
	for i := range s.handed {
		h := &s.handed[i]
		if h.end > sent && (!h.id.AtMostOnce() || h.start >= sent) {
			s.srv.node.Return(&h.id, h.lease, h.turn)
		}
	}
	s.srv.monitors.remove(s)
}

// flushed says that the first n bytes of reply.B were sent; an empty buffer
// larger than keep is given back.
func (s *session) flushed(n, keep int) {
	s.base += uint64(n)
	if n < len(s.reply.B) {
		s.reply.B = s.reply.B[:copy(s.reply.B, s.reply.B[n:])]
		for _, a := range s.adding {
			a.at -= n
		}
		return
	}
	s.reply.B = s.reply.B[:0]
	if cap(s.reply.B) > keep {
		s.drop()
	}
}

// confirm forgets the jobs whose replies were sent.
func (s *session) confirm(sent uint64) {
	if len(s.handed) == 0 {
		return
	}
	k := 0
	for k < len(s.handed) && s.handed[k].end <= sent {
		k++
	}
	if k == 0 {
		return
	}
	if s.handed = s.handed[:copy(s.handed, s.handed[k:])]; len(s.handed) == 0 && cap(s.handed) > 64 {
		s.handed = nil
	}
}

// limits returns what the client may send now.
func (s *session) limits() *resp.Limits {
	cfg := s.srv.cfg.Get()
	if cfg != s.limCfg {
		s.limCfg = cfg
		s.lim = resp.Limits{
			MaxArgs: cfg.MaxArguments, MaxBulk: cfg.MaxJobSize, MaxInline: int(cfg.MaxInlineSize),
			MaxCommand: cfg.MaxJobSize + commandRoom + int64(cfg.MaxArguments)*idRoom,
			UnauthArgs: cfg.UnauthMaxArguments, UnauthBulk: cfg.UnauthMaxBulk,
		}
	}
	s.lim.Unauthenticated = !s.authenticated(cfg)
	return &s.lim
}

// A command may be as long as one job, a queue name and options, and as many
// job ids as arguments are allowed ("$40\r\n", the id, "\r\n").
const (
	commandRoom = 128 << 10
	idRoom      = 47
)

// refuse answers input that is no command.
func (s *session) refuse(err error) {
	from := s.beginReply()
	s.reply.Error("ERR " + err.Error())
	var large *resp.TooLargeError
	if !errors.As(err, &large) {
		s.closing = true
		return
	}
	if s.tx != nil {
		s.tx.spoil()
	}
	s.endReply(from)
}

// beginReply and endReply stand around the answer to one command, so that
// CLIENT REPLY is obeyed. from is where the answer begins.
func (s *session) beginReply() (from int) {
	if s.silent == skipNext {
		s.silent = skipping
	}
	return len(s.reply.B)
}

func (s *session) endReply(from int) {
	if s.silent >= skipping {
		s.mute(from)
	}
}

// beginBatch is called before the commands of one read, with the time.
func (s *session) beginBatch(now time.Time) { s.lastTick = int64(now.Sub(s.srv.started)) }

// exec executes one command; args are the caller's and end with the call.
func (s *session) exec(args [][]byte) {
	from := s.beginReply()
	cmd, fault := s.admit(args)
	switch {
	case fault != "":
		if s.tx != nil {
			s.tx.spoil()
		}
		s.reply.Error(fault)
	case s.tx != nil && cmd.flags&immediate == 0:
		s.queue(args)
	case s.adds() && cmd.flags&overtakes == 0:
		s.park(args)
		return
	default:
		s.run(cmd, args)
	}
	s.endReply(from)
}

// mute takes back what was answered from a position on.
func (s *session) mute(from int) {
	s.reply.B = s.reply.B[:from]
	s.muteAdding(from)
	for k := len(s.handed); k > 0 && s.handed[k-1].start >= s.base+uint64(from); k-- {
		s.handed = s.handed[:k-1]
	}
	if s.silent == skipping {
		s.silent = speaking
	}
}

// admit finds the command and decides whether this client may run it now, in
// the reference's order. A fault is the text of an error reply.
func (s *session) admit(args [][]byte) (cmd *command, fault string) {
	if cmd = s.srv.commands.find(args[0]); cmd == nil {
		if is(args[0], "POST") || is(args[0], "HOST:") {
			s.srv.log.Warn("an HTTP request came to the RESP port; its connection is closed, as a web page may have sent it",
				"client", s.info.addr)
			s.closing = true
		}
		return nil, "ERR unknown command '" + resp.Echo(args[0]) + "'"
	}
	if !cmd.takes(args) {
		return cmd, "ERR wrong number of arguments for '" + cmd.name + "' command"
	}
	cfg := s.srv.cfg.Get()
	if cmd.flags&preAuth == 0 {
		u := s.user(cfg)
		if u == nil {
			return cmd, errNoAuth
		}
		if !u.Unlimited() {
			if fault := s.permits(u, cmd, args); fault != "" {
				return cmd, fault
			}
		}
	}
	if cmd.flags&loading == 0 && s.srv.loading.Load() {
		return cmd, "LOADING Disqo is loading the dataset in memory"
	}
	if s.tx != nil && cmd.flags&noMulti != 0 {
		return cmd, "ERR " + cmd.name + " is not allowed in MULTI"
	}
	return cmd, ""
}

// run executes an admitted command, in or out of a transaction.
func (s *session) run(cmd *command, args [][]byte) {
	if s.srv.node.Level() >= 2 && !s.srv.node.Relieve() && cmd.flags&denyOOM != 0 {
		s.reply.Error("OOM command not allowed when used memory > 'maxmemory'.")
		return
	}
	s.info.lastCmd.Store(cmd)
	if s.srv.monitors.any() && cmd.flags&secret == 0 {
		s.srv.monitors.feed(s, args)
	}
	cmd.run(s, args)
	now := s.srv.ticks()
	took := time.Duration(now - s.lastTick)
	s.lastTick = now
	cmd.stats.add(took)
	cfg := s.srv.cfg.Get()
	s.srv.slowlog.note(cfg, args, took, cmd)
	s.srv.latency.note(cfg.LatencyMonitorThreshold, cmd, took)
}

// fail answers with an error value that came from the layers below.
func (s *session) fail(err error) { s.reply.Error(faultText(err)) }

// errorf answers with an error that was made here.
func (s *session) errorf(format string, a ...any) { s.reply.Error(fmt.Sprintf(format, a...)) }

// is reports whether an argument is the given upper-case word, in any case.
func is(arg []byte, word string) bool {
	return len(arg) == len(word) && bytes.EqualFold(arg, []byte(word))
}
