package server

import (
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
)

// alone makes a server without a socket.
func alone(t testing.TB) *Server {
	set, err := config.Load([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()})
	require.NoError(t, err)
	srv, err := New(Options{Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// life makes a session, and commands that add, fetch and acknowledge jobs of
// 128 bytes.
func life(srv *Server, queue string) (s *session, add, get, ack func()) {
	s = another(srv)
	adds, gets, acks := words("ADDJOB "+queue+" body 0"), words("GETJOB NOHANG FROM "+queue), words("ACKJOB id")
	adds[2] = make([]byte, 128)
	run := func(args [][]byte) {
		s.exec(args)
		s.flushed(len(s.reply.B), busyBytes)
	}
	add = func() { run(adds) }
	get = func() {
		run(gets)
		acks[1] = s.handed[0].id.AppendText(acks[1][:0])
		s.confirm(s.base)
	}
	return s, add, get, func() { run(acks) }
}

// BenchmarkLife is the life of a 128-byte job through a session: added,
// fetched, acknowledged. No socket.
func BenchmarkLife(b *testing.B) { benchmarkLife(b, alone(b)) }

// BenchmarkLifeTimed is the same with an HTTP side, for which commands are timed.
func BenchmarkLifeTimed(b *testing.B) {
	srv := alone(b)
	srv.commands.time()
	benchmarkLife(b, srv)
}

func benchmarkLife(b *testing.B, srv *Server) {
	_, add, get, ack := life(srv, "queue")
	b.ReportAllocs()
	for b.Loop() {
		add()
		get()
		ack()
	}
}

// BenchmarkLives is the same by a session for each processor (-cpu 1,2,4), with
// a queue for each and with one for all, which is one lock.
func BenchmarkLives(b *testing.B) {
	for _, shared := range []bool{false, true} {
		b.Run(map[bool]string{false: "queues", true: "queue"}[shared], func(b *testing.B) {
			srv := alone(b)
			var sessions atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				queue := "queue"
				if number := sessions.Add(1); !shared {
					queue += strconv.FormatInt(number, 10)
				}
				_, add, get, ack := life(srv, queue)
				for pb.Next() {
					add()
					get()
					ack()
				}
			})
		})
	}
}

// A job's life makes no garbage, so that the collector has nothing to do. Only a
// queue that was empty makes its order anew.
func TestLifeAllocatesNothing(t *testing.T) {
	_, add, get, ack := life(alone(t), "queue")
	for range 5000 { // the slabs grow
		add()
	}
	for range 1000 {
		get()
		ack()
	}
	require.Zero(t, testing.AllocsPerRun(900, add), "ADDJOB")
	require.Zero(t, testing.AllocsPerRun(900, get), "GETJOB")
	require.Zero(t, testing.AllocsPerRun(900, func() { get(); ack() }), "GETJOB and ACKJOB")
	s, _, _, _ := life(alone(t), "queue")
	ping := words("PING")
	require.Zero(t, testing.AllocsPerRun(900, func() {
		s.exec(ping)
		s.flushed(len(s.reply.B), busyBytes)
	}), "PING")
}

// Nor do large replies: their memory is used again, by any connection.
func TestLargeRepliesAllocateNothing(t *testing.T) {
	s, _, _, _ := life(alone(t), "queue")
	add, get := words("ADDJOB large body 0"), words("GETJOB COUNT 16 FROM large")
	add[2] = make([]byte, 10<<10)
	const runs = 50
	for range 16 * (runs + 2) {
		s.exec(add)
		s.flushed(len(s.reply.B), busyBytes)
	}
	large, kept := 0, 0
	require.Zero(t, testing.AllocsPerRun(runs, func() {
		s.exec(get)
		large = len(s.reply.B)
		s.flushed(large, busyBytes)
		s.confirm(s.base)
		kept = cap(s.reply.B)
	}))
	require.Greater(t, large, 160<<10)
	require.Zero(t, kept)
}
