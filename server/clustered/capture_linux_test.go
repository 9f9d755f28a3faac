package clustered

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/server/servertest"
)

// capture hears every packet of the loopback device until stop is called, and returns
// how many bytes went to or from some ports, and in how many of their packets a text was.
func capture(t *testing.T, text string, ports ...string) (stop func() (heard, found int)) {
	t.Helper()
	const all = unix.ETH_P_ALL
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, all<<8&0xff00|all>>8)
	if errors.Is(err, unix.EPERM) {
		servertest.Missing(t, "packets may not be captured: %v", err)
	}
	require.NoError(t, err)
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all<<8&0xff00 | all>>8, Ifindex: lo.Index}))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}))
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	var want [][]byte
	for _, p := range ports {
		n, err := strconv.Atoi(p)
		require.NoError(t, err)
		want = append(want, []byte{byte(n >> 8), byte(n)})
	}
	var ended atomic.Bool
	heard, found, done := 0, 0, make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 256<<10)
		for {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if n <= 0 || err != nil {
				if ended.Load() {
					return
				}
				continue
			}
			const ethernet, ip = 14, 20
			if n < ethernet+ip+4 {
				continue
			}
			for _, p := range want {
				if head := buf[ethernet+ip:]; bytes.Equal(head[:2], p) || bytes.Equal(head[2:4], p) {
					heard += n
					if bytes.Contains(buf[:n], []byte(text)) {
						found++
					}
					break
				}
			}
		}
	}()
	return func() (int, int) {
		ended.Store(true)
		<-done
		_ = unix.Close(fd)
		return heard, found
	}
}

// Whoever listens on the wire between nodes with a secret hears no job, nor which
// queue it is for; between nodes without one, all of it.
func TestNothingToHear(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "s3cret"} {
		s := cluster(t, 3, "--cluster-secret", secret, "--cluster-node-timeout", "1000")
		var ports []string
		for _, c := range s.c {
			ports = append(ports, c.Self().Bus)
		}
		queue, body := fmt.Sprintf("queue-of-%d", time.Now().UnixNano()), "a body that nobody shall read"
		stopBody, stopQueue := capture(t, body, ports...), capture(t, queue, ports...)
		for i := range 30 {
			id := s.c[i%3].Job(queue, body, "REPLICATE", "3")
			require.Contains(t, s.c[(i+1)%3].Do("SHOW", id), body)
			s.c[i%3].Do("ACKJOB", id)
		}
		// A job that another node wants, and gossip between all.
		s.c[0].Job(queue, body, "REPLICATE", "1")
		s.eventually("it comes", func() bool { return s.c[1].Do("GETJOB", "TIMEOUT", "500", "FROM", queue) != "*-1\r\n" })
		before := s.c[0].Info("cluster", "gossip_messages_received")
		s.eventually("gossip goes on", func() bool { return s.c[0].Info("cluster", "gossip_messages_received") != before })
		for what, stop := range map[string]func() (int, int){"body": stopBody, "queue": stopQueue} {
			heard, found := stop()
			require.Greater(t, heard, 10_000, "something was heard")
			if secret == "" {
				require.Positive(t, found, "the %s, where there is no secret", what)
			} else {
				require.Zero(t, found, "the %s", what)
			}
		}
	}
}
