//go:build linux

package torture

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// unfinished are what a client may have begun when it goes away.
var unfinished = []string{
	"",
	"P",
	"*",
	"*3\r\n$6\r\nADD",
	"*4\r\n$6\r\nADDJOB\r\n$5\r\nchurn\r\n$4000000\r\n" + strings.Repeat("x", 10_000),
	"*4\r\n$6\r\nADDJOB\r\n$5\r\nchurn\r\n$9000000\r\n" + strings.Repeat("x", 10_000),
	"PING\r\nPING\r\nPI",
	"GETJOB FROM churn\r\n",
	"GETJOB FROM churn other more\r\nPING\r\n*2\r\n",
	"GETJOB TIMEOUT 1 FROM churn\r\nGETJOB FROM churn\r\n",
	"MULTI\r\nQLEN churn\r\n",
	"MONITOR\r\n",
	"CLIENT REPLY OFF\r\nGETJOB FROM churn\r\n",
	strings.Repeat("INFO\r\n", 50),
	"\x16\x03\x01",
	"*1\r\n$-2\r\n",
	"QUIT\r\nPING\r\n",
}

// Clients come and go for a while, in the middle of whatever they were saying.
func TestChurn(t *testing.T) {
	p := start(t, "--client-write-timeout", "1")
	c := p.Dial(t)
	require.Equal(t, "*-1\r\n", c.Do("GETJOB", "NOHANG", "FROM", "churn", "other", "more"))
	open, goroutines, used := sockets(t, p), info(t, c, "memory", "go_goroutines"), info(t, c, "memory", "used_memory")
	before, seed := p.Resident(t), random(t).Uint64()

	const churners = 20
	counts := make([]int, churners)
	end := time.Now().Add(5 * time.Second)
	require.NoError(t, parallel(churners, func(g int) error {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		for ; time.Now().Before(end); counts[g]++ {
			if err := churn(p.Addr, rng); err != nil {
				return err
			}
		}
		return nil
	}))
	total := 0
	for _, n := range counts {
		total += n
	}
	require.Greater(t, total, 1000)
	servertest.Until(t, "all are gone", patience, func() bool { return info(t, c, "clients", "connected_clients") == 1 })
	servertest.Until(t, "no socket is left", patience, func() bool { return sockets(t, p) <= open })
	servertest.Until(t, "no goroutine is left", patience, func() bool { return info(t, c, "memory", "go_goroutines") <= goroutines+10 })
	require.Zero(t, info(t, c, "clients", "blocked_clients"))
	require.Zero(t, waiting(t, c, "churn"))
	require.Equal(t, used, info(t, c, "memory", "used_memory"))
	grown := peak(t, p) - before
	t.Logf("%d connections, %s more memory at the peak", total, mb(grown))
	require.Less(t, grown, int64(128*mib))
	well(t, p)
}

// churn is the life of one client.
func churn(addr string, rng *rand.Rand) error {
	w, err := connect(addr)
	if err != nil {
		return err
	}
	defer w.Close()
	if rng.IntN(3) == 0 {
		if err := w.say("PING\r\n", "+PONG"); err != nil {
			return fmt.Errorf("an honest client: %w", err)
		}
	}
	_, _ = io.WriteString(w, unfinished[rng.IntN(len(unfinished))])
	switch rng.IntN(3) {
	case 0:
		w.reset()
	case 1:
		_ = w.CloseWrite()
	}
	return nil
}
