package bench_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench"
	"github.com/disqo/disqo/server/servertest"
)

// script makes a program that starts the broker with the first six arguments
// only: address, port and directory, no log.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

// forgetful is a broker without a log, whatever it is told.
func forgetful(t *testing.T) string {
	t.Helper()
	return script(t, "exec "+servertest.Binary(t)+` "$1" "$2" "$3" "$4" "$5" "$6"`)
}

// A broker with a log loses nothing by kill -9.
func TestKill(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	r, err := bench.Kill(context.Background(), bench.KillOptions{
		Server: servertest.Binary(t), Dir: t.TempDir(), Cycles: 2, Progress: &progress,
	})
	require.NoError(t, err, "%s", &progress)
	require.NoError(t, r.Err(), "%s", &r)
	require.GreaterOrEqual(t, len(r.Runs[0].Rounds), 2)
	require.Empty(t, r.Runs[0].Kept)
	require.GreaterOrEqual(t, r.Added(), 1000)
	require.Contains(t, progress.String(), "cycle 2")
}

// The torture notices that a broker forgets all by a kill.
func TestKillFindsLoss(t *testing.T) {
	t.Parallel()
	r, err := bench.Kill(context.Background(), bench.KillOptions{
		Server: forgetful(t), Dir: t.TempDir(), Cycles: 1, Seed: 7, Patience: time.Second,
	})
	require.NoError(t, err)
	run := r.Runs[0]
	require.Positive(t, run.Verdict.Lost.Count)
	require.ErrorContains(t, r.Err(), " lost; its files are in "+run.Kept+", the seed was 7")
	require.DirExists(t, run.Kept)
	require.Len(t, run.Rounds, 1)
	require.Positive(t, run.Rounds[0].Acked)
}

// What keeps the torture from going on is an error that shows the log.
func TestKillThatCannotGoOn(t *testing.T) {
	t.Parallel()
	binary := servertest.Binary(t)
	for name, test := range map[string]struct{ server, want string }{
		"does not start":  {script(t, "echo no way >&2; exit 1"), "did not start: it ended; its log ends:\nno way"},
		"ends by itself":  {script(t, binary+` "$1" "$2" "$3" "$4" "$5" "$6" & sleep 0.3; echo farewell >&2; kill $!`), "farewell"},
		"is not there":    {"/no/such/program", "no such file"},
		"answers refusal": {script(t, "exec "+binary+` "$1" "$2" "$3" "$4" "$5" "$6" --maxmemory 1mb`), "the broker says: NOREPL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bench.Kill(context.Background(), bench.KillOptions{Server: test.server, Dir: t.TempDir(), Cycles: 1})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestKillOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]bench.KillOptions{
		"Policy": {Policy: "sometimes"}, "Cycles": {Cycles: -1}, "Producers": {Producers: 1e6},
		"Consumers": {Consumers: -1}, "Backlog": {Backlog: 1}, "Port": {Port: 1e5},
	} {
		_, err := bench.Kill(context.Background(), o)
		require.ErrorContains(t, err, "bench: "+want+" is ")
	}
}
