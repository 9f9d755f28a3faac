//go:build linux

package torture

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	manyClients = 10_000
	// perConnection is the most memory that a connection may cost.
	perConnection = 32 * kib
)

// waitInOrder makes each client wait for a job of the queue, and goes on to
// the next when the server has put it in line.
func waitInOrder(t *testing.T, c *servertest.Client, queue string, clients []*wire) {
	t.Helper()
	before, get := waiting(t, c, queue), []byte("GETJOB FROM "+queue+"\r\n")
	end := time.Now().Add(patience)
	for i, w := range clients {
		_, err := w.Write(get)
		require.NoError(t, err)
		for waiting(t, c, queue) != before+i+1 {
			require.True(t, time.Now().Before(end), "consumer %d is not in line", i)
		}
	}
}

// deliver adds n jobs in one pipeline; the body is the job's number.
func deliver(t *testing.T, p *servertest.Process, queue string, n int) {
	t.Helper()
	w := dial(t, p.Addr)
	_, err := w.Write(addJobs(queue, n))
	require.NoError(t, err)
	_, err = ids(w, n)
	require.NoError(t, err)
}

// Ten thousand consumers wait in line, ten thousand jobs come: each consumer
// gets one, the first the first.
func TestManyConsumers(t *testing.T) {
	descriptorsNeeded(t, manyClients+1000)
	p := start(t, "--maxclients", "11000")
	c := p.Dial(t)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	base := p.Resident(t)

	begun := time.Now()
	clients := crowd(t, p.Addr, manyClients)
	require.GreaterOrEqual(t, len(clients), 9900)
	require.NoError(t, parallel(8, func(g int) (err error) {
		for i := g; i < len(clients) && err == nil; i += 8 {
			err = clients[i].say("PING\r\n", "+PONG")
		}
		return err
	}))
	connected, idle := time.Since(begun), (p.Resident(t)-base)/manyClients

	begun = time.Now()
	waitInOrder(t, c, "line", clients)
	require.Equal(t, manyClients, info(t, c, "clients", "blocked_clients"))
	inLine, blocked := time.Since(begun), (p.Resident(t)-base)/manyClients

	begun = time.Now()
	deliver(t, p, "line", manyClients)
	for i, w := range clients {
		_, bodies, err := w.jobs()
		require.NoError(t, err, "consumer %d", i)
		require.Equal(t, []string{strconv.Itoa(i)}, bodies, "consumer %d", i)
	}
	served := time.Since(begun)
	for i, w := range clients {
		require.NoError(t, w.say("PING\r\n", "+PONG"), "consumer %d got more than one job", i)
	}
	require.Equal(t, ":0\r\n", c.Do("QLEN", "line"))
	require.Zero(t, waiting(t, c, "line"))
	t.Logf("%d clients: connected in %v, %d bytes each; in line in %v, %d bytes each; served in %v",
		manyClients, connected, idle, inLine, blocked, served)
	require.LessOrEqual(t, idle, int64(perConnection))
	require.LessOrEqual(t, blocked, int64(perConnection))
	well(t, p)
}

// Consumers that went away while they waited get nothing, and nobody loses a
// job or his place in line by it.
func TestConsumersVanish(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	const all, gone = 2000, 500
	clients := crowd(t, p.Addr, all)
	waitInOrder(t, c, "line", clients)
	rng := random(t)
	left := map[int]bool{}
	for _, i := range rng.Perm(all)[:gone] {
		left[i] = true
		if rng.IntN(2) == 0 {
			clients[i].reset()
		} else {
			require.NoError(t, clients[i].Close())
		}
	}
	servertest.Until(t, "their absence is noticed", patience, func() bool { return waiting(t, c, "line") == all-gone })
	deliver(t, p, "line", all)
	next := 0
	for i, w := range clients {
		if left[i] {
			continue
		}
		_, bodies, err := w.jobs()
		require.NoError(t, err, "consumer %d", i)
		require.Equal(t, []string{strconv.Itoa(next)}, bodies, "consumer %d", i)
		next++
	}
	require.Equal(t, all-gone, next)
	require.Equal(t, fmt.Sprintf(":%d\r\n", gone), c.Do("QLEN", "line"))
	w := dial(t, p.Addr)
	_, err := fmt.Fprintf(w, "GETJOB NOHANG COUNT %d FROM line\r\n", all)
	require.NoError(t, err)
	_, bodies, err := w.jobs()
	require.NoError(t, err)
	require.Len(t, bodies, gone)
	for _, body := range bodies {
		require.Equal(t, strconv.Itoa(next), body)
		next++
	}
	well(t, p)
}

// Consumers vanish at the same time as the jobs come: a job handed to a
// consumer that is just going is retried at the latest, none is lost, and none
// is given to two that stayed.
func TestConsumersVanishMeanwhile(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	const all, gone = 2000, 500
	clients := crowd(t, p.Addr, all)
	waitInOrder(t, c, "line", clients)
	rng := random(t)
	leaving := rng.Perm(all)[:gone]
	left := make(map[int]bool, gone)
	for _, i := range leaving {
		left[i] = true
	}
	vanished := make(chan struct{})
	go func() {
		defer close(vanished)
		for k, i := range leaving {
			if k%2 == 0 {
				clients[i].reset()
			} else {
				_ = clients[i].Close()
			}
		}
	}()
	producer := dial(t, p.Addr)
	const retry = 3 // seconds
	for i := range all {
		_, err := fmt.Fprintf(producer, "ADDJOB line %d 0 RETRY %d\r\n", i, retry)
		require.NoError(t, err)
	}
	_, err := ids(producer, all)
	require.NoError(t, err)
	<-vanished

	got, acks := map[string]bool{}, dial(t, p.Addr)
	take := func(w *wire) {
		id, bodies, err := w.jobs()
		require.NoError(t, err)
		require.Len(t, bodies, 1)
		require.False(t, got[bodies[0]], "job %s was delivered twice", bodies[0])
		got[bodies[0]] = true
		require.NoError(t, acks.say("ACKJOB "+id[0]+"\r\n", ":1"))
	}
	for i, w := range clients {
		if !left[i] {
			take(w)
		}
	}
	begun, atOnce := time.Now(), 0
	last := dial(t, p.Addr)
	for len(got) < all {
		_, err := fmt.Fprint(last, "GETJOB TIMEOUT 10000 FROM line\r\n")
		require.NoError(t, err)
		take(last)
		if time.Since(begun) < time.Second {
			atOnce++
		}
	}
	t.Logf("of %d jobs, %d had to wait for their retry", gone, gone-atOnce)
	require.Zero(t, info(t, c, "jobs", "registered_jobs"))
	well(t, p)
}
