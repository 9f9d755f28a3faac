package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// rig is a broker's shard with its log.
type rig struct {
	t   *testing.T
	dir string
	log *aof.Log
	s   *store.Shard
	fx  store.Effects
	now int64
	ids uint64
}

func newRig(t *testing.T, policy aof.Policy) *rig {
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "appendonlydir"), now: time.Now().UnixMilli()}
	var err error
	r.log, _, err = aof.Open(aof.Options{Dir: r.dir, SegmentSize: 4096, Policy: policy, Manual: true}, nil)
	require.NoError(t, err)
	t.Cleanup(r.log.Abandon)
	r.s = store.NewShard(r.now, store.Limits{})
	r.s.Attach(1, 1)
	return r
}

// commit writes what was journalled as a batch.
func (r *rig) commit() {
	r.t.Helper()
	pos := r.log.Append(r.fx.Journal.Buf, r.fx.Journal.Ends, 0)
	require.NoError(r.t, r.log.Commit(pos))
	r.fx.Journal.Reset()
}

// add adds a job, in a batch of its own.
func (r *rig) add(queue, body string) store.ID {
	r.t.Helper()
	r.ids++
	id := store.NewID(store.Hash16([]byte(queue)), [2]uint64{r.ids, r.ids}, [4]byte{1}, 3600, false)
	spec := &store.Spec{ID: id, Queue: []byte(queue), Body: []byte(body), Retry: 60, TTL: 3600, Repl: 1}
	_, err := r.s.Add(r.now, spec, &r.fx)
	require.NoError(r.t, err)
	r.commit()
	return id
}

// sample makes a log with every kind of record.
func sample(t *testing.T) *rig {
	r := newRig(t, aof.Always)
	id := r.add("mail", "hello")
	r.add("mail", "\xff\x00")
	r.add("mail", strings.Repeat("long ", 20))
	_, err := r.s.Fetch(r.now, []byte("mail"), 1, &r.fx, func(*store.Job) bool { return true })
	require.NoError(t, err)
	r.commit()
	require.True(t, r.s.Ack(r.now, &id, &r.fx))
	r.commit()
	require.NoError(t, r.s.SetPause(r.now, []byte("news"), store.PauseIn, false, &r.fx))
	r.commit()
	h := store.Hash16([]byte("gone"))
	r.s.Flush(r.now, h, h, &r.fx)
	r.commit()
	return r
}

// try runs the command.
func try(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// flip changes a byte of a segment.
func (r *rig) flip(segment int, off int64) {
	r.t.Helper()
	path := filepath.Join(r.dir, fmt.Sprintf("%010d.aof", segment))
	raw, err := os.ReadFile(path)
	require.NoError(r.t, err)
	raw[off] ^= 1
	require.NoError(r.t, os.WriteFile(path, raw, 0o600))
}

// fill makes a log of several segments and returns the offset of some batch in
// the middle of the second.
func (r *rig) fill() (offset int64) {
	r.t.Helper()
	for i := range 60 {
		r.add("q", fmt.Sprint("job ", i))
	}
	_, err := aof.Scan(aof.OS(), r.dir, func(b *aof.Batch) error {
		if b.Segment == 2 && offset == 0 && b.Offset > 1000 {
			offset = b.Offset
		}
		return nil
	})
	require.NoError(r.t, err)
	require.Positive(r.t, offset)
	return offset
}

// loaded returns the bodies of a log's jobs.
func loaded(t *testing.T, dir string) (bodies []string) {
	t.Helper()
	_, err := aof.Scan(aof.OS(), dir, func(b *aof.Batch) error {
		for rec := range b.Records {
			r, err := store.ParseRecord(rec)
			require.NoError(t, err)
			if r.Kind == store.KindPut {
				bodies = append(bodies, string(r.Job.Body))
			}
		}
		return nil
	})
	require.NoError(t, err)
	return bodies
}

func TestVerify(t *testing.T) {
	t.Parallel()
	r := sample(t)
	code, out, errs := try(r.dir)
	require.Empty(t, errs)
	require.Equal(t, exitWhole, code)
	require.Contains(t, out, "segment  file            epoch  batches  records  used")
	require.Regexp(t, `(?m)^1 +0000000001\.aof +1 +8 +7 +\d+ +4096 +image always$`, out)
	require.Regexp(t, `(?m)^8 batches, 7 records, \d+ bytes: 3 put, 1 state, 1 del, 1 queue, 1 flush$`, out)
	require.Contains(t, out, "\n2 jobs to load, 0 of them acknowledged; 0 whose TTL is over; 1 paused queues\n")
	require.Contains(t, out, "\nnot closed: the broker was killed or still runs; under appendfsync always nothing")

	require.NoError(t, r.log.Close())
	code, out, _ = try(r.dir)
	require.Equal(t, exitWhole, code)
	require.Contains(t, out, "\nclean: the broker was stopped, nothing is missing\n")
}

func TestDump(t *testing.T) {
	t.Parallel()
	r := sample(t)
	code, out, _ := try("--dump", r.dir)
	require.Equal(t, exitWhole, code)
	lines := strings.Split(out, "\n")
	const at, id, when = `^1:\d+ #\d+ 20\S+Z `, ` D-01000000-\S{24}-003d `, `20\S+Z`
	for i, want := range []string{
		at + `put` + id + `queue="mail" state=queued ttl=3600 retry=60 delay=0 created=` + when + ` expires=` + when +
			` next=` + when + ` nacks=0 extra=0.* repl=1 body=5 "hello"$`,
		` body=2 "\\xff\\x00"$`,
		` body=100 "(long ){12}long"\.\.\.$`,
		at + `state` + id + `state=active next=` + when + ` nacks=0 extra=0 delivered`,
		at + `del` + strings.TrimSuffix(id, " ") + `$`,
		at + `queue queue="news" pause=in$`,
		at + `flush hashes=\d+-\d+$`,
	} {
		require.Regexp(t, regexp.MustCompile(want), lines[i])
	}
	_, out, _ = try("--dump", "--bodies", r.dir)
	require.Contains(t, out, ` body=100 "`+strings.Repeat("long ", 20)+`"`)
}

func TestJSON(t *testing.T) {
	t.Parallel()
	r := sample(t)
	code, out, _ := try("--json", r.dir)
	require.Equal(t, exitWhole, code)
	var all []map[string]any
	for text := range strings.Lines(out) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		all = append(all, m)
	}
	require.Len(t, all, 8)
	require.Equal(t, "hello", all[0]["body"])
	require.Equal(t, false, all[0]["base64"])
	require.Equal(t, "mail", all[0]["queue"])
	require.InDelta(t, 3600, all[0]["ttl"], 0)
	require.Equal(t, "/wA=", all[1]["body"])
	require.Equal(t, true, all[1]["base64"])
	require.Equal(t, "active", all[3]["state"])
	require.NotContains(t, all[3], "retry")
	require.Equal(t, all[0]["id"], all[4]["id"])
	require.Equal(t, "in", all[5]["pause"])
	require.Equal(t, all[6]["low"], all[6]["high"])
	report := all[7]["report"].(map[string]any)
	require.Equal(t, "not closed", report["state"])
	require.Equal(t, map[string]any{"jobs": 2.0, "acked": 0.0, "expired": 0.0, "pausedQueues": 1.0}, report["load"])

	_, out, _ = try("--json", "--verify-only", r.dir)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.True(t, strings.HasPrefix(out, `{"report":{"state":"not closed","exit":0,`), out)
}

func TestCorruptAndRepair(t *testing.T) {
	t.Parallel()
	r := newRig(t, aof.EverySec)
	at := r.fill()
	r.log.Abandon()
	before := loaded(t, r.dir)
	r.flip(2, at+60)

	code, out, _ := try(r.dir)
	require.Equal(t, exitCorrupt, code)
	damaged := fmt.Sprintf(`\ndamaged: 0000000002\.aof from %d, \d+ bytes: the checksum of the batch's records is wrong\n`, at)
	require.Contains(t, out, fmt.Sprintf("\ncorrupt: aof: 0000000002.aof is corrupt at offset %d:", at))
	require.Regexp(t, damaged, out)
	require.Contains(t, out, "\nup to the damage: ")
	require.Contains(t, out, "\nbatches lost: at least 1\n")
	require.Contains(t, out, "\nTo repair: disqo-check-aof --repair --yes "+r.dir+"\n")
	code, out, _ = try("--json", "--verify-only", r.dir)
	require.Equal(t, exitCorrupt, code)
	require.Contains(t, out, `"repair":{"torn":false,`)

	code, out, _ = try("--repair", r.dir)
	require.Equal(t, exitCorrupt, code)
	require.Regexp(t, damaged, out)
	require.Contains(t, out, "\nNothing was changed.\n")
	code, _, _ = try(r.dir)
	require.Equal(t, exitCorrupt, code, "nothing was changed")

	code, out, _ = try("--repair", r.dir, "--yes")
	require.Equal(t, exitWhole, code)
	require.Regexp(t, damaged, out)
	aside := regexp.MustCompile(`segments are in (\S+)\.\n`).FindStringSubmatch(out)
	require.NotNil(t, aside, out)
	old, err := filepath.Glob(filepath.Join(aside[1], "*.aof"))
	require.NoError(t, err)
	require.Greater(t, len(old), 2)
	require.Len(t, loaded(t, r.dir), len(before)-1)
	require.Subset(t, before, loaded(t, r.dir))

	code, out, _ = try(r.dir)
	require.Equal(t, exitWhole, code)
	require.Contains(t, out, "\nnot closed: the broker was killed or still runs; at-most-once jobs count as delivered")
	code, out, _ = try("--repair", "--yes", r.dir)
	require.Equal(t, exitWhole, code)
	require.Contains(t, out, "nothing to repair")
}

func TestTornEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, aof.No)
	for i := range 3 {
		r.add("q", fmt.Sprint("job ", i))
	}
	r.log.Abandon()
	last := int64(0)
	_, err := aof.Scan(aof.OS(), r.dir, func(b *aof.Batch) error { last = b.Offset; return nil })
	require.NoError(t, err)
	r.flip(1, last+20)
	code, out, _ := try(r.dir)
	require.Equal(t, exitTorn, code)
	require.Contains(t, out, fmt.Sprintf("\ntorn end: aof: the end of 0000000001.aof is torn at offset %d", last))
	require.Contains(t, out, "\nThe broker cuts a torn end by itself")
	code, _, _ = try("--repair", r.dir)
	require.Equal(t, exitTorn, code)
	code, _, _ = try("--repair", "--yes", r.dir)
	require.Equal(t, exitWhole, code)
	require.Equal(t, []string{"job 0", "job 1"}, loaded(t, r.dir))
}

func TestWhileABrokerRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, aof.Always)
	at := r.fill()
	r.flip(2, at+60)
	for _, args := range [][]string{{"--repair", r.dir}, {"--repair", "--yes", r.dir}} {
		code, _, errs := try(args...)
		require.Equal(t, exitError, code)
		require.Contains(t, errs, "in use by another process\nStop the broker that uses "+r.dir)
	}
	code, out, _ := try(r.dir)
	require.Equal(t, exitCorrupt, code)
	require.Contains(t, out, "\nA broker uses this directory")
}

func TestOtherLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t, aof.Always)
	id := r.add("q", "body")
	pos := r.log.Append([]byte{77, 1}, []int{2}, 0)
	require.NoError(t, r.log.Commit(pos))
	code, out, _ := try("--dump", r.dir)
	require.Equal(t, exitCorrupt, code)
	require.Regexp(t, `(?m)^1:\d+ #3 \S+ unreadable store: .* record of kind 77 .*: "M\\x01"$`, out)
	require.Contains(t, out, " 1 unreadable\n")
	require.Contains(t, out, id.String())
	require.NoError(t, r.log.Off())

	code, out, _ = try(r.dir)
	require.Equal(t, exitWhole, code)
	require.Equal(t, "empty: there is no log, or none that was completed\n", out)
	newer := []byte("DISQOAOF\x09\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x00", 48))
	binary.LittleEndian.PutUint32(newer[12:], crc32.Checksum(newer, crc32.MakeTable(crc32.Castagnoli)))
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "0000000001.aof"), newer, 0o600))
	for _, args := range [][]string{{r.dir}, {"--repair", r.dir}, {"--repair", "--yes", r.dir}} {
		code, out, _ = try(args...)
		require.Equal(t, exitNewer, code)
		require.Contains(t, out, "newer version: aof: 0000000001.aof was written by a newer version (format 9")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"which directory?":        {},
		"one directory at a time": {dir, dir},
		"exclude each other":      {"--dump", "--json", dir},
		"--bodies goes with":      {"--bodies", dir},
		"--verify-only goes with": {"--verify-only", dir},
		"--yes goes with":         {"--yes", dir},
		"not defined: -x":         {"-x", dir},
	} {
		code, out, errs := try(args...)
		require.Equal(t, exitError, code)
		require.Empty(t, out)
		require.Contains(t, errs, want)
		require.Contains(t, errs, "Usage: disqo-check-aof DIR")
	}
	code, out, _ := try("--help")
	require.Equal(t, exitWhole, code)
	require.Equal(t, usage, out)

	code, _, errs := try(filepath.Join(dir, "no"))
	require.Equal(t, exitError, code)
	require.Contains(t, errs, "Name the appendonlydir")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o700))
	code, _, errs = try(dir)
	require.Equal(t, exitError, code)
	require.Contains(t, errs, "do you mean "+filepath.Join(dir, "appendonlydir")+"?")
}
