//go:build linux

package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// million is a run of many jobs through many queues by many clients.
type million struct {
	seen  []atomic.Bool // by the job's number
	acked atomic.Int64
}

const (
	millionJobs    = 1_000_000
	millionClients = 50
	millionQueues  = 8
	millionBatch   = 500
)

// A million jobs are added, delivered and acknowledged once each, and nothing
// of them is left.
func TestMillionJobs(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	for q := range millionQueues {
		require.Equal(t, "*-1\r\n", c.Do("GETJOB", "NOHANG", "FROM", fmt.Sprint("q", q)))
	}
	used, goroutines, base := info(t, c, "memory", "used_memory"), info(t, c, "memory", "go_goroutines"), p.Resident(t)

	run := &million{seen: make([]atomic.Bool, millionJobs)}
	clients := crowd(t, p.Addr, millionClients)
	begun, usedCPU := time.Now(), cpu(t, p)
	require.NoError(t, parallel(millionClients, func(g int) error { return run.client(clients[g], g) }))
	took := time.Since(begun)
	t.Logf("%v, %.0f jobs/s, %v of the server's processor, %s more memory at the peak",
		took, millionJobs/took.Seconds(), cpu(t, p)-usedCPU, mb(peak(t, p)-base))
	for i := range run.seen {
		require.True(t, run.seen[i].Load(), "job %d was never delivered", i)
	}
	require.Less(t, took, 60*time.Second)
	require.Zero(t, info(t, c, "jobs", "registered_jobs"))
	require.Equal(t, used, info(t, c, "memory", "used_memory"))
	for _, w := range clients {
		require.NoError(t, w.Close())
	}
	servertest.Until(t, "no goroutine is left", patience, func() bool { return info(t, c, "memory", "go_goroutines") <= goroutines+10 })
	well(t, p)
}

// client adds its share, batch by batch, and consumes what it finds, whoever
// added it, until all is acknowledged.
func (m *million) client(w *wire, g int) error {
	w.r.Reset(w)
	share := millionJobs / millionClients
	for first := g * share; first < (g+1)*share; first += millionBatch {
		if err := m.add(w, first); err != nil {
			return err
		}
		if err := m.consume(w, g); err != nil {
			return err
		}
	}
	for m.acked.Load() < millionJobs {
		if err := m.consume(w, g); err != nil {
			return err
		}
	}
	return nil
}

func (m *million) add(w *wire, first int) error {
	var b bytes.Buffer
	for i := first; i < first+millionBatch; i++ {
		fmt.Fprintf(&b, "*6\r\n$6\r\nADDJOB\r\n$2\r\nq%d\r\n$128\r\n%0128d\r\n$1\r\n0\r\n$5\r\nRETRY\r\n$4\r\n3600\r\n", i%millionQueues, i)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	for range millionBatch {
		if id, err := w.line(); err != nil || !isID(id) {
			return fmt.Errorf("not an id: %q, %w", id, err)
		}
	}
	return nil
}

func (m *million) consume(w *wire, g int) error {
	if _, err := fmt.Fprintf(w, "GETJOB NOHANG COUNT %d FROM", millionBatch); err != nil {
		return err
	}
	for q := range millionQueues {
		if _, err := fmt.Fprintf(w, " q%d", (q+g)%millionQueues); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	list, bodies, err := w.jobs()
	if err != nil || len(list) == 0 {
		return err
	}
	for _, body := range bodies {
		i, err := strconv.Atoi(body)
		if err != nil || m.seen[i].Swap(true) {
			return fmt.Errorf("job %q was delivered twice, %w", body, err)
		}
	}
	if err := w.say("ACKJOB "+strings.Join(list, " ")+"\r\n", fmt.Sprint(":", len(list))); err != nil {
		return err
	}
	m.acked.Add(int64(len(list)))
	return nil
}

var stopped = regexp.MustCompile(`msg=stopped jobs=(\d+)`)

// SIGTERM under load: what was executed is answered, what was not is not, who
// waits is told to go elsewhere, and the process ends well.
func TestStopUnderLoad(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	consumers := crowd(t, p.Addr, 100)
	waitInOrder(t, c, "none", consumers)

	const producers = 8
	load := crowd(t, p.Addr, producers)
	in := addJobs("load", 2000)
	var answered, sent atomic.Int64
	done := make(chan error, 1)
	go func() { done <- parallel(producers, func(g int) error { return pour(load[g], in, &sent, &answered) }) }()
	servertest.Until(t, "the load is on", patience, func() bool { return answered.Load() > 20_000 })

	begun := time.Now()
	require.Equal(t, 0, p.Terminate(t), "exit code")
	took := time.Since(begun)
	require.NoError(t, <-done)
	for i, w := range consumers {
		heard, err := w.rest()
		require.NoError(t, err)
		require.Equal(t, "-LEAVING This node is leaving the cluster, please connect to a different one\r\n", heard, "consumer %d", i)
	}
	c.Closed()
	m := stopped.FindStringSubmatch(p.Log())
	require.NotNil(t, m, "%s", p.Log())
	t.Logf("stopped within %v; %d jobs sent, %d answered, %s executed", took, sent.Load(), answered.Load(), m[1])
	require.Less(t, took, 5*time.Second)
	require.LessOrEqual(t, answered.Load(), sent.Load())
	require.Equal(t, m[1], fmt.Sprint(answered.Load()), "every job that was added was answered, and none that was not")
}

// pour sends pipelines of ADDJOBs until the connection ends, and counts them
// and the whole answers.
func pour(w *wire, in []byte, sent, answered *atomic.Int64) error {
	per := int64(bytes.Count(in, []byte("ADDJOB")))
	go func() {
		for {
			sent.Add(per)
			if _, err := w.Write(in); err != nil {
				return
			}
		}
	}()
	for {
		line, err := w.line()
		switch {
		case errors.Is(err, io.EOF) && line == "", errors.Is(err, syscall.ECONNRESET):
			return nil
		case err != nil:
			return fmt.Errorf("after %q: %w", line, err)
		case !isID(line):
			return fmt.Errorf("not an id: %q", line)
		}
		answered.Add(1)
	}
}
