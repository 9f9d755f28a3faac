//go:build linux

package torture

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	protocol = "-ERR Protocol error: "
	tooSlow  = "-ERR the command did not arrive whole within command-timeout\r\n"
)

// attacks are the inputs that kill redcon, burn its processor or fill its
// memory, and what a client that sends them hears before it is closed. Without
// an answer the input is ignored, and the connection good for more.
var attacks = []struct{ name, in, want string }{
	{"bulk of MaxInt64", "*1\r\n$9223372036854775807\r\n", protocol + "invalid bulk length\r\n"},
	{"bulk of MaxInt64 and payload", "*1\r\n$9223372036854775807\r\nx\r\n", protocol + "invalid bulk length\r\n"},
	{"bulk of -2", "*1\r\n$-2\r\nx\r\n", protocol + "invalid bulk length\r\n"},
	{"bulk that wraps around", "*1\r\n$18446744073709551620\r\nPING\r\n", protocol + "invalid bulk length\r\n"},
	{"count of 10^9", "*1000000000\r\n", protocol + "invalid multibulk length\r\n"},
	{"count of 9*10^18", "*9000000000000000000\r\n", protocol + "invalid multibulk length\r\n"},
	{"count that wraps around", "*18446744073709551617\r\n$4\r\nPING\r\n", protocol + "invalid multibulk length\r\n"},
	{"2^20 arguments", "*1048576\r\n$1\r\na\r\n", protocol + "too many arguments (1048576), the limit is 65536 (max-arguments)\r\n"},
	{"commands before the attack", "PING\r\nPING\r\n*1\r\n$-2\r\n", "+PONG\r\n+PONG\r\n" + protocol + "invalid bulk length\r\n"},
	{"inline without end", strings.Repeat("A", 100_000), protocol + "too big inline request\r\n"},
	{"count without end", "*" + strings.Repeat("1", 100_000), protocol + "too big mbulk count string\r\n"},
	{"bulk length without end", "*1\r\n$" + strings.Repeat("1", 100_000), protocol + "too big bulk count string\r\n"},
	{"unbalanced quotes", "PING \"\r\n", protocol + "unbalanced quotes in request\r\n"},
	{"no CRLF behind a bulk", "*1\r\n$4\r\nPINGPONG\r\n", protocol + "expected CRLF after bulk\r\n"},
	{"commands behind QUIT", "QUIT\r\nADDJOB after quit 0\r\n", "+OK\r\n"},
	{"bulk of 512 MiB, never sent", "*1\r\n$536870912\r\n", tooSlow},
	{"half a command", "*3\r\n$6\r\nADDJOB\r\n$1\r\n", tooSlow},
	{"half a line", "PING", tooSlow},
	{"negative Tile38 line", "$-2 x\r\n$9223372036854775807 x", "-ERR unknown command '$-2'\r\n" + tooSlow},
	{"count of 0", "*0\r\n", ""},
	{"count of -1", "*-1\r\n", ""},
	{"a million empty arrays", strings.Repeat("*0\r\n", 1<<20), ""},
	{"a million blank lines", strings.Repeat("\n", 1<<20), ""},
}

func TestAttacks(t *testing.T) {
	p := start(t, "--command-timeout", "1")
	well(t, p)
	before := p.Resident(t)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			begun, used := time.Now(), cpu(t, p)
			w := dial(t, p.Addr)
			_, err := io.WriteString(w, a.in)
			require.NoError(t, err)
			if a.want == "" {
				require.NoError(t, w.say("PING\r\n", "+PONG"))
			} else {
				heard, err := w.rest()
				require.NoError(t, err, "not closed")
				require.Equal(t, a.want, heard)
			}
			require.Less(t, time.Since(begun), 5*time.Second)
			require.Less(t, cpu(t, p)-used, time.Second)
			well(t, p)
		})
	}
	grown := peak(t, p) - before
	t.Logf("%s more at the peak", mb(grown))
	require.Less(t, grown, int64(16*mib))
}

// redcon keeps a stack frame for every read of an incomplete command, dies of
// 850,000 of them, and reads the command from its start each time.
func TestOneByteSegments(t *testing.T) {
	p := start(t)
	well(t, p)
	before := peak(t, p)
	const body, total = 600_000, 850_000
	stream := servertest.Command("ADDJOB", "bytes", strings.Repeat("x", body), "0")
	pings := 0
	for ; len(stream) < total; pings++ {
		stream = append(stream, servertest.Command("PING")...)
	}
	w := dial(t, p.Addr) // Go sets TCP_NODELAY
	begun := time.Now()
	answered := make(chan error, 1)
	go func() {
		_, err := w.line()
		for i := 0; i < pings && err == nil; i++ {
			err = w.hear("+PONG")
		}
		answered <- err
	}()
	for i := range stream {
		_, err := w.Write(stream[i : i+1])
		require.NoError(t, err)
	}
	require.NoError(t, <-answered)
	t.Logf("%d segments in %v, %v of the server's processor, %s more memory", len(stream), time.Since(begun), cpu(t, p), mb(peak(t, p)-before))
	require.Less(t, cpu(t, p), 15*time.Second, "a quadratic scan would look at 10^11 bytes")
	require.Less(t, peak(t, p)-before, int64(16*mib))
	well(t, p)
}

// redcon needs 2 s for this.
func TestManyArgumentsInSegments(t *testing.T) {
	p := start(t, "--max-arguments", "200000")
	well(t, p)
	args := append([]string{"GETJOB", "NOHANG", "FROM"}, strings.Split(strings.Repeat("q", 160_000), "")...)
	in := servertest.Command(args...)
	w := dial(t, p.Addr)
	begun, used := time.Now(), cpu(t, p)
	for rest := in; len(rest) > 0; {
		n := min(1460, len(rest))
		_, err := w.Write(rest[:n])
		require.NoError(t, err)
		rest = rest[n:]
	}
	require.NoError(t, w.hear("*-1"))
	t.Logf("%d bytes in %v, %v of the server's processor", len(in), time.Since(begun), cpu(t, p)-used)
	require.Less(t, cpu(t, p)-used, time.Second)
	well(t, p)
}

// A client sends 64 MiB of commands and reads nothing until all is sent. It
// gets every reply; meanwhile another works as if it were alone.
func TestUnreadPipeline(t *testing.T) {
	p := start(t)
	well(t, p)
	alone := measure(t, p, time.Second, func() {})
	before := peak(t, p)
	pair := append(servertest.Command("PING"), servertest.Command("QLEN", "none")...)
	chunk := bytes.Repeat(pair, mib/len(pair))
	w := dial(t, p.Addr)
	var sent, read time.Duration
	crowded := measure(t, p, 0, func() {
		begun := time.Now()
		for range 64 {
			_, err := w.Write(chunk)
			require.NoError(t, err)
		}
		sent = time.Since(begun)
		for i := range 64 * (mib / len(pair)) {
			require.NoError(t, w.hear("+PONG"), "pair %d", i)
			require.NoError(t, w.hear(":0"), "pair %d", i)
		}
		read = time.Since(begun) - sent
	})
	grown := peak(t, p) - before
	t.Logf("sent in %v, read in %v; p99 of another client %v, alone %v; %s more memory at the peak", sent, read, crowded, alone, mb(grown))
	require.Less(t, grown, int64(64*mib))
	require.Less(t, crowded, 2*alone+50*time.Millisecond)
	require.NoError(t, w.say("PING\r\n", "+PONG"))
	well(t, p)
}

// A client whose unread replies pass client-output-buffer-limit is not read
// from any more, and closed if it goes on reading nothing.
func TestUnreadBeyondTheLimit(t *testing.T) {
	p := start(t, "--client-write-timeout", "1", "--client-output-buffer-limit", "normal 16mb 0 0")
	well(t, p)
	before := peak(t, p)
	pings := bytes.Repeat([]byte("PING\n"), mib)
	w := dial(t, p.Addr)
	begun := time.Now()
	_, err := w.Write(pings)
	for err == nil && time.Since(begun) < patience {
		_, err = w.Write(pings)
	}
	took, grown := time.Since(begun), peak(t, p)-before
	require.Error(t, err)
	require.Less(t, took, patience, "the server went on reading")
	t.Logf("closed after %v; %s more memory at the peak", took, mb(grown))
	require.Less(t, grown, int64(64*mib))
	well(t, p)
}

// measure returns the 99th percentile of what another client waits while do
// runs, and for at least a while.
func measure(t *testing.T, p *servertest.Process, least time.Duration, do func()) time.Duration {
	t.Helper()
	stop, done := make(chan struct{}), make(chan error, 1)
	var took []time.Duration
	go func() {
		var err error
		took, err = work(p.Addr, "others", time.Millisecond, stop)
		done <- err
	}()
	enough := time.After(least)
	func() {
		defer close(stop)
		do()
		<-enough
	}()
	require.NoError(t, <-done, "another client")
	return percentile(took, 99)
}

// A consumer that does not read is closed, and the jobs it did not get are
// queued again at once: RETRY would do it after an hour only.
func TestUnreadJobs(t *testing.T) {
	p := start(t, "--client-write-timeout", "1")
	const jobs = 48
	producer := p.Dial(t)
	body := strings.Repeat("x", mib)
	for range jobs {
		producer.Job("large", body, "RETRY", "3600")
	}
	before := p.Resident(t)
	w := dial(t, p.Addr)
	require.NoError(t, w.SetReadBuffer(64*kib))
	begun := time.Now()
	_, err := fmt.Fprintf(w, "GETJOB COUNT %d FROM large\r\n", jobs)
	require.NoError(t, err)
	servertest.Until(t, "the jobs are handed to the client", patience, func() bool { return producer.Do("QLEN", "large") == ":0\r\n" })
	servertest.Until(t, "the client is closed", patience, func() bool { return info(t, producer, "clients", "connected_clients") == 1 })
	took := time.Since(begun)
	var back int
	_, err = fmt.Sscanf(producer.Do("QLEN", "large"), ":%d", &back)
	require.NoError(t, err)
	t.Logf("closed after %v; %d of %d jobs are back, the kernel has the others; %s more memory at the peak",
		took, back, jobs, mb(peak(t, p)-before))
	require.Less(t, took, 5*time.Second)
	require.GreaterOrEqual(t, back, jobs-12)
	require.Less(t, peak(t, p)-before, int64(5*jobs*mib), "the reply, while it grows and until it is collected")
	next := dial(t, p.Addr)
	_, err = fmt.Fprintf(next, "GETJOB NOHANG COUNT %d WITHCOUNTERS FROM large\r\n", jobs)
	require.NoError(t, err)
	require.NoError(t, next.hear(fmt.Sprintf("*%d", back)))
	for range back {
		require.NoError(t, next.hear("*7"))
		for range 3 {
			_, err := next.bulk()
			require.NoError(t, err)
		}
		for _, want := range []string{"$5", "nacks", ":0", "$21", "additional-deliveries", ":0"} {
			require.NoError(t, next.hear(want), "it cost a try")
		}
	}
	well(t, p)
}

// A client that reads slowly is not closed: its deadline begins anew with
// every byte it takes, and ends when it has all.
func TestSlowReader(t *testing.T) {
	p := start(t, "--client-write-timeout", "1", "--command-timeout", "1", "--client-output-buffer-limit", "normal 1mb 0 0")
	w := dial(t, p.Addr)
	require.NoError(t, w.SetReadBuffer(64*kib))
	const n, size = 40, 256 * kib
	in := bytes.Repeat(servertest.Command("ECHO", strings.Repeat("x", size)), n)
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(in)
		written <- err
	}()
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for i := range n {
		<-pace.C
		b, err := w.bulk()
		require.NoError(t, err, "reply %d", i)
		require.Len(t, b, size)
	}
	require.NoError(t, <-written)
	require.NoError(t, w.say("PING\r\n", "+PONG"))
	quiet := time.NewTimer(1500 * time.Millisecond) // longer than any deadline that was set
	<-quiet.C
	require.NoError(t, w.say("PING\r\n", "+PONG"), "an old deadline closed the connection")
}

// A job above max-job-size is skipped, answered, and forgotten: not even the
// clock that watched its arrival goes on.
func TestOversizedJob(t *testing.T) {
	p := start(t, "--command-timeout", "1")
	well(t, p)
	before := peak(t, p)
	w := dial(t, p.Addr)
	const refusal = "-ERR job of 5242880 bytes exceeds max-job-size 4194304"
	large := servertest.Command("ADDJOB", "q", strings.Repeat("x", 5*mib), "0")
	require.NoError(t, w.say(string(large), refusal))
	require.NoError(t, w.say("ADDJOB q small 0 RETRY\r\n", "-ERR syntax error"))
	require.NoError(t, w.addJob("q"))
	require.NoError(t, w.say(string(large), refusal))
	pause := time.NewTimer(1500 * time.Millisecond)
	<-pause.C
	require.NoError(t, w.say("QLEN q\r\n", ":1"), "closed by command-timeout although no command was arriving")
	for _, piece := range []string{"*", "0\r\n"} { // no command either
		_, err := io.WriteString(w, piece)
		require.NoError(t, err)
		<-time.After(50 * time.Millisecond)
	}
	pause.Reset(1500 * time.Millisecond)
	<-pause.C
	require.NoError(t, w.say("QLEN q\r\n", ":1"), "closed by command-timeout although no command was arriving")
	grown := peak(t, p) - before
	t.Logf("%s more at the peak", mb(grown))
	require.Less(t, grown, int64(16*mib))
	well(t, p)
}

// Bulks that are announced and never sent cost what was sent.
func TestAnnouncedAndDropped(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	before, open := peak(t, p), descriptors(t, p)
	for _, size := range []int{4 * mib, 100 * mib, 512 * mib} {
		for range 50 {
			w := dial(t, p.Addr)
			_, err := fmt.Fprintf(w, "*4\r\n$6\r\nADDJOB\r\n$1\r\nq\r\n$%d\r\n%s", size, strings.Repeat("x", 1000))
			require.NoError(t, err)
		}
	}
	servertest.Until(t, "all are connected", patience, func() bool { return info(t, c, "clients", "connected_clients") == 151 })
	require.Less(t, peak(t, p)-before, int64(24*mib))
	for range 10 {
		w := dial(t, p.Addr)
		_, err := fmt.Fprintf(w, "*4\r\n$6\r\nADDJOB\r\n$1\r\nq\r\n$%d\r\n%s", 100*mib, strings.Repeat("x", 10*mib))
		require.NoError(t, err)
		w.reset()
	}
	grown := peak(t, p) - before
	t.Logf("%s more at the peak", mb(grown))
	require.Less(t, grown, int64(32*mib))
	require.Equal(t, "*-1\r\n", c.Do("QSTAT", "q"))
	servertest.Until(t, "those that were reset are closed", patience, func() bool { return descriptors(t, p) <= open+151 })
	well(t, p)
}

// Noise of every kind: it is refused, or waits for more and is closed, or has
// by chance the form of commands that do not exist.
func TestGarbage(t *testing.T) {
	p := start(t, "--command-timeout", "1")
	well(t, p)
	before, rng := peak(t, p), random(t)
	alphabets := []string{"", "*$\r\n0123456789-", "\r\n\"'\\x ", "*1\r\n$", "PINGADDJOB \r\n*$123"}
	var all []*wire
	for round := range 200 {
		noise := make([]byte, 1+rng.IntN(1<<rng.IntN(18)))
		alphabet := alphabets[round%len(alphabets)]
		for i := range noise {
			noise[i] = byte(rng.Uint32())
			if alphabet != "" {
				noise[i] = alphabet[int(noise[i])%len(alphabet)]
			}
		}
		w := dial(t, p.Addr)
		_, _ = w.Write(noise) // may be closed before its end
		_ = w.CloseWrite()
		all = append(all, w)
	}
	for _, w := range all {
		heard, err := w.rest()
		require.NoError(t, err, "not closed")
		for line := range strings.Lines(heard) {
			require.True(t, strings.HasPrefix(line, "-ERR ") || line == "+PONG\r\n", "%q", line)
		}
	}
	require.Less(t, peak(t, p)-before, int64(32*mib))
	well(t, p)
}

// Programs that speak something else are turned away within command-timeout.
func TestOtherProtocols(t *testing.T) {
	p := start(t, "--command-timeout", "1")
	t.Run("TLS", func(t *testing.T) {
		begun := time.Now()
		w := dial(t, p.Addr)
		require.Error(t, tls.Client(w, &tls.Config{ServerName: "localhost"}).Handshake())
		_, _ = w.rest()
		require.Less(t, time.Since(begun), 5*time.Second)
		well(t, p)
	})
	t.Run("HTTP", func(t *testing.T) {
		w := dial(t, p.Addr)
		_, err := io.WriteString(w, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, w.hear("-ERR unknown command 'GET'"))
		_ = w.CloseWrite()
		heard, err := w.rest()
		require.NoError(t, err)
		for line := range strings.Lines(heard) {
			require.True(t, strings.HasPrefix(line, "-ERR unknown command '"), "%q", line)
		}
		well(t, p)
	})
}
