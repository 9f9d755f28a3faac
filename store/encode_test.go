package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleJob() *Job {
	return &Job{
		ID: NewID(Hash16([]byte("mail")), [2]uint64{1, 2}, [4]byte{3}, 60, false), Queue: "mail", Body: []byte("hello\x00\r\n"),
		State: Queued, Repl: 3, Nacks: 4, Extra: 5, Delay: 6, Retry: 7, Created: 8, Expires: 9, NextQueue: 10,
	}
}

func TestJobRoundTrip(t *testing.T) {
	t.Parallel()
	want := sampleJob()
	got, err := DecodeJob(AppendJob(nil, want))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Len(t, AppendJob(nil, &Job{}), encodingHeader)
}

func TestDecodeJobRefuses(t *testing.T) {
	t.Parallel()
	good := AppendJob(nil, sampleJob())
	for cut := range good {
		_, err := DecodeJob(good[:cut])
		require.ErrorIs(t, err, ErrCorrupt, "cut at %d", cut)
	}
	for name, spoil := range map[string]func(j *Job){
		"state":   func(j *Job) { j.State = 9 },
		"time":    func(j *Job) { j.Expires = -1 },
		"repl":    func(j *Job) { j.Repl = 0 },
		"retry":   func(j *Job) { j.Retry = 0 },
		"another": func(j *Job) { j.Queue = "other" },
	} {
		j := sampleJob()
		spoil(j)
		_, err := DecodeJob(AppendJob(nil, j))
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
	bad := append([]byte{}, good...)
	bad[0] = 99
	_, err := DecodeJob(bad)
	require.ErrorContains(t, err, "version 99")
}

func FuzzJob(f *testing.F) {
	f.Add(AppendJob(nil, sampleJob()))
	f.Add([]byte{1})
	f.Add(make([]byte, encodingHeader))
	f.Fuzz(func(t *testing.T, src []byte) {
		j, err := DecodeJob(src)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.Equal(t, src, AppendJob(nil, j), "an accepted encoding is the only one")
	})
}
