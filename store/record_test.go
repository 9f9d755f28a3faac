package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// parse reads the only record that was journalled.
func (l *logRig) parse() Record {
	l.t.Helper()
	require.Len(l.t, l.fx.Journal.Ends, 1)
	l.take()
	last := l.segments[len(l.segments)-1]
	r, err := ParseRecord(last[len(last)-1])
	require.NoError(l.t, err)
	return r
}

func TestParseRecord(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, 1)
	spec := l.spec("mail", "hello")
	spec.Retry, spec.Delay = 60, 0
	id := l.add(spec)
	put := l.parse()
	want := l.get(id)
	want.Turn, want.Holders = 0, Set{} // are not journalled
	require.Equal(t, Record{Kind: KindPut, ID: id, Job: &want, QueuedOnce: true, Queue: "mail"}, put)
	require.Equal(t, "hello", string(put.Job.Body))

	l.fetch("mail", 1)
	state := l.parse()
	require.Equal(t, Record{
		Kind: KindState, ID: id, Delivered: true, QueuedOnce: true,
		Job: &Job{ID: id, State: Active, NextQueue: l.now + 60_000},
	}, state)

	require.True(t, l.s.Ack(l.now, &id, &l.fx))
	require.Equal(t, Record{Kind: KindDel, ID: id}, l.parse())

	require.NoError(t, l.s.SetPause(l.now, []byte("mail"), PauseIn|PauseOut, false, &l.fx))
	require.Equal(t, Record{Kind: KindQueue, Queue: "mail", Pause: PauseIn | PauseOut}, l.parse())

	l.s.Flush(l.now, 3, 9, &l.fx)
	require.Equal(t, Record{Kind: KindFlush, Low: 3, High: 9}, l.parse())
}

func TestParseRecordRefuses(t *testing.T) {
	t.Parallel()
	state := append([]byte{recState}, make([]byte, stateSize-1)...)
	_, err := ParseRecord(state)
	require.NoError(t, err)
	state[26] = byte(NumStates)
	for name, rec := range map[string][]byte{
		"empty": nil, "kind": {99}, "put": append([]byte{recPut}, make([]byte, putFix)...), "state": state,
		"short": state[:9], "pause": {recQueue, 4, 'q'}, "flush": {recFlush, 9, 0, 3, 0},
	} {
		_, err := ParseRecord(rec)
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
}

// FuzzParseRecord: nothing makes it panic, and what can be loaded can be shown.
func FuzzParseRecord(f *testing.F) {
	l := newLogRig(f, 1)
	id := l.add(l.spec("q", "body"))
	l.fetch("q", 1)
	l.s.Ack(l.now, &id, &l.fx)
	dead := l.add(l.ranked("q", "body", 3))
	require.True(f, l.s.Bury(l.now, &dead, []byte("why"), &l.fx))
	require.NoError(f, l.s.SetPause(l.now, []byte("q"), PauseIn, false, &l.fx))
	l.s.Flush(l.now, 0, 65535, &l.fx)
	l.take()
	for _, rec := range l.segments[0] {
		f.Add(rec)
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		r, err := ParseRecord(rec)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			require.Error(t, NewShard(t0, Limits{Roll: &listRoll{{1}}}).Replay(rec, 1))
			return
		}
		require.Contains(t, []string{KindPut, KindState, KindDel, KindQueue, KindFlush}, r.Kind)
		if r.Job != nil {
			require.Equal(t, r.ID, r.Job.ID)
			require.NotEmpty(t, r.Job.State.String())
		}
	})
}
