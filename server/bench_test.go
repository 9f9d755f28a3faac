package server

import (
	"io"
	"log/slog"
	"testing"

	"github.com/disqo/disqo/server/config"
)

// BenchmarkLife is the life of a 128-byte job through a session: added,
// fetched, acknowledged. No socket.
func BenchmarkLife(b *testing.B) {
	set, err := config.Load([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	srv, err := New(Options{Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	s := another(srv)
	add := words("ADDJOB queue body 0")
	add[2] = make([]byte, 128)
	get, ack := words("GETJOB FROM queue"), words("ACKJOB id")
	b.ReportAllocs()
	for b.Loop() {
		s.exec(add)
		s.exec(get)
		id := s.handed[0].id
		ack[1] = id.AppendText(ack[1][:0])
		s.exec(ack)
		n := len(s.reply.B)
		s.flushed(n, busyBytes)
		s.confirm(s.base)
	}
}
