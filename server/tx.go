package server

import (
	"github.com/tidwall/redcon"
)

// transaction holds the commands queued since MULTI. EXEC runs them one after
// another and answers with one array. It is a batch, not an isolation: other
// clients' commands may run in between.
type transaction struct {
	buf     []byte // the commands, as arrays of bulks
	n       int
	spoiled bool // a command was refused: EXEC runs nothing
}

// spoil makes EXEC fail; what was queued is of no more use.
func (t *transaction) spoil() {
	t.spoiled = true
	t.buf, t.n = nil, 0
}

// queue keeps a command for EXEC.
func (s *session) queue(args [][]byte) {
	t, cfg := s.tx, s.srv.cfg.Get()
	if t.spoiled {
		s.reply.Status("QUEUED")
		return
	}
	size := int64(len(t.buf))
	for _, a := range args {
		size += int64(len(a)) + 16
	}
	if t.n >= cfg.MultiMaxCommands || size > cfg.MultiMaxBytes {
		t.spoil()
		s.errorf("ERR MULTI takes at most %d commands (multi-max-commands) and %d bytes (multi-max-bytes); nothing of it will be executed",
			cfg.MultiMaxCommands, cfg.MultiMaxBytes)
		return
	}
	t.n++
	t.buf = redcon.AppendArray(t.buf, len(args))
	for _, a := range args {
		t.buf = redcon.AppendBulk(t.buf, a)
	}
	s.reply.Status("QUEUED")
}

func cmdMulti(s *session, _ [][]byte) {
	if s.tx != nil {
		s.reply.Error("ERR MULTI calls can not be nested")
		return
	}
	s.tx = &transaction{}
	s.reply.Status("OK")
}

func cmdDiscard(s *session, _ [][]byte) {
	if s.tx == nil {
		s.reply.Error("ERR DISCARD without MULTI")
		return
	}
	s.tx = nil
	s.reply.Status("OK")
}

func cmdExec(s *session, _ [][]byte) {
	t := s.tx
	if t == nil {
		s.reply.Error("ERR EXEC without MULTI")
		return
	}
	s.tx = nil
	if t.spoiled {
		s.reply.Error("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	s.inExec = true
	defer func() { s.inExec = false }()
	s.reply.Array(t.n)
	rest := t.buf
	room := len(s.reply.B) + fetchRoom(s.srv.cfg.Get().ClientOutputBufferLimit.Hard)
	var args [][]byte
	for range t.n {
		_, args, _, rest, _ = redcon.ReadNextCommand(rest, args[:0])
		if len(s.reply.B) >= room {
			s.reply.Error(errExecFull)
			continue
		}
		s.execQueued(args)
	}
}

// errExecFull answers the commands of a transaction that come after its reply
// has its full size.
const errExecFull = "ERR not executed: the replies of this EXEC exceed client-output-buffer-limit; ask for less in one MULTI"

// execQueued runs one command of a transaction; whether it may run is asked
// again, as the commands before it may have changed that.
func (s *session) execQueued(args [][]byte) {
	cmd, fault := s.admit(args)
	if fault != "" {
		s.reply.Error(fault)
		return
	}
	s.run(cmd, args)
}
