package server

import (
	"math"
	"strconv"

	"github.com/disqo/disqo/server/resp"
)

// maxSleep bounds DEBUG SLEEP, in milliseconds.
const maxSleep = 3_600_000

// DEBUG FLUSHALL | SLEEP seconds | ERROR text | STRUCTSIZE
func cmdDebug(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "flushall":
		if err := s.srv.node.Flush(&s.mark); err != nil {
			s.fail(err)
			return
		}
		s.srv.log.Info("all jobs and queues were dropped", "client", s.info.addr)
		s.reply.Status("OK")
	case sub == "sleep" && len(rest) == 1:
		s.debugSleep(rest[0])
	case sub == "error" && len(rest) == 1:
		s.reply.Error(resp.Echo(rest[0]))
	case sub == "structsize" && len(rest) == 0:
		s.reply.Status("bits:" + strconv.Itoa(strconv.IntSize) + " job:80")
	default:
		s.errorf("ERR Unknown DEBUG subcommand or wrong number of arguments for '%s'", resp.Echo(args[1]))
	}
}

// debugSleep holds this client's further commands; the server goes on.
func (s *session) debugSleep(seconds []byte) {
	f, err := strconv.ParseFloat(string(seconds), 64)
	if err != nil || math.IsNaN(f) || f < 0 {
		s.fail(fault("ERR SLEEP takes seconds, a number that is not negative"))
		return
	}
	s.pauseTo = s.srv.node.Now() + int64(min(f*1000, maxSleep))
	s.reply.Status("OK")
}
