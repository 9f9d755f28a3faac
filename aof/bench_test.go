package aof_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// BenchmarkCommit is what a client pays for a record of 200 bytes: Reserve,
// Append, Commit.
func BenchmarkCommit(b *testing.B) {
	for _, p := range []aof.Policy{aof.EverySec, aof.Always} {
		for _, clients := range []int{1, 16, 50} {
			b.Run(fmt.Sprintf("%s/%d", p, clients), func(b *testing.B) { benchCommit(b, p, clients) })
		}
	}
}

func benchCommit(b *testing.B, p aof.Policy, clients int) {
	l, _, err := aof.Open(aof.Options{Dir: b.TempDir(), Policy: p}, nil)
	require.NoError(b, err)
	defer func() { require.NoError(b, l.Close()) }()
	done := make(chan error, clients)
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		go func() { done <- commits(l, b.N/clients+1) }()
	}
	for range clients {
		require.NoError(b, <-done)
	}
	b.StopTimer()
	s := l.Sizes()
	b.ReportMetric(float64(b.N)/float64(s.Batches), "records/batch")
	if s.Syncs > 0 {
		b.ReportMetric(float64((s.SyncTotal / time.Duration(s.Syncs)).Microseconds()), "µs/sync")
	}
}

// commits does n of a client's turns, and lets go of segments that are full.
func commits(l *aof.Log, n int) error {
	rec, ends := make([]byte, 200), []int{200}
	for i := range n {
		if err := l.Reserve(len(rec)+aof.RecordOverhead, aof.Ordinary, 0); err != nil {
			return err
		}
		if err := l.Commit(l.Append(rec, ends, len(rec)+aof.RecordOverhead)); err != nil {
			return err
		}
		if i%4096 == 0 {
			if err := l.Drop(l.Head()); err != nil {
				return err
			}
		}
	}
	return nil
}

// A record that is committed makes no garbage, whoever waits for its sync.
func TestCommitAllocatesNothing(t *testing.T) {
	for _, p := range []aof.Policy{aof.EverySec, aof.Always} {
		l, _, err := aof.Open(aof.Options{Dir: t.TempDir(), Policy: p}, nil)
		require.NoError(t, err)
		require.NoError(t, commits(l, 100), "its buffers find their size")
		rec, ends := make([]byte, 200), []int{200}
		require.Zero(t, testing.AllocsPerRun(500, func() {
			require.NoError(t, l.Reserve(len(rec)+aof.RecordOverhead, aof.Ordinary, 0))
			require.NoError(t, l.Commit(l.Append(rec, ends, len(rec)+aof.RecordOverhead)))
		}), p)
		require.NoError(t, l.Close())
	}
}
