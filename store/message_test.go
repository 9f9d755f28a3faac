package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// messageShard is a shard with jobs in all states, and their ids.
func messageShard(t testing.TB) (*rig, []ID) {
	roll := &listRoll{{0x10}, {0x35, 19: 1}, {0x5a, 19: 2}, {0x7f, 19: 3}}
	r := &rig{t: t, s: NewShard(t0, Limits{Roll: roll, Seed: 5}), now: t0, rnd: rand.New(rand.NewPCG(1, 1))}
	r.s.SetView(&View{Known: SetOf(1, 2, 3), Reachable: SetOf(1, 2, 3), Linked: SetOf(1, 2, 3), Terms: SetOf(1, 2)})
	r.s.Attach(1, 1)
	var ids []ID
	add := func(retry uint32, repl, sync uint16, external bool, delay uint32) ID {
		spec := r.spec("q", "body")
		spec.Retry, spec.Repl, spec.Sync, spec.External, spec.Delay = retry, repl, sync, external, delay
		spec.ID = r.id("q", retry == 0)
		if repl > 1 || external {
			spec.Adder = adder{spec.ID}
		}
		require.NoError(t, second(r.s.Add(r.now, spec, &r.fx)))
		ids = append(ids, spec.ID)
		return spec.ID
	}
	say := func(from uint16, m *Message) { _ = r.s.Receive(r.now, from, m, &r.fx) }
	add(300, 1, 1, false, 0)
	add(300, 1, 1, false, 0)
	r.fetch("q", 2) // leased, without other holders
	shared := add(300, 2, 2, false, 0)
	say(1, &Message{Kind: MsgGotJob, ID: shared})
	say(2, &Message{Kind: MsgGotJob, ID: shared})
	r.fetch("q", 1) // leased
	add(0, 1, 1, false, 0)
	r.fetch("q", 1)          // delivered, at most once
	add(300, 3, 3, false, 0) // waits
	add(0, 1, 1, true, 0)
	add(300, 2, 2, true, 9)
	add(0, 1, 1, false, 50)
	add(300, 3, 1, false, 50)
	acked := add(300, 2, 1, false, 0)
	r.s.Ack(r.now, &acked, &r.fx)
	add(0, 1, 1, false, 0)
	say(1, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}) // moved
	add(300, 1, 1, false, 0)
	say(2, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}) // given
	for _, retry := range []uint32{0, 300} {
		job := &Job{ID: r.id("q", retry == 0), Queue: "q", Body: []byte("x"), Repl: 2, Retry: retry, Created: 1, Expires: 1e6}
		say(3, &Message{Kind: MsgReplJob, ID: job.ID, Holders: SetOf(0, 3), Job: job}) // a copy
		ids = append(ids, job.ID)
		job = &Job{ID: r.id("q", retry == 0), Queue: "q", Body: []byte("x"), Repl: 2, Retry: retry, Created: 1, Expires: 1e6}
		say(3, &Message{Kind: MsgYourJob, Turn: 1, ID: job.ID, Holders: SetOf(0, 3), Job: job}) // imported
		ids = append(ids, job.ID)
	}
	dummy := r.id("q", false)
	r.s.Ack(r.now, &dummy, &r.fx)
	ids = append(ids, dummy, r.id("q", false), r.id("q", true))
	for _, job := range [...]struct {
		retry      uint32
		repl, sync uint16
	}{{300, 1, 1}, {300, 3, 1}, {0, 1, 1}} {
		dead := add(job.retry, job.repl, job.sync, false, 0)
		require.True(t, r.s.Bury(r.now, &dead, []byte("why"), &r.fx))
		risen := add(job.retry, job.repl, job.sync, false, 0)
		require.True(t, r.s.Bury(r.now, &risen, nil, &r.fx))
		require.True(t, r.s.KickJob(r.now, &risen, &r.fx))
		held := add(job.retry, job.repl, job.sync, false, 0)
		require.True(t, r.s.Promote(r.now, &held, 5, &r.fx))
		if job.retry > 0 {
			require.Equal(t, []string{"body"}, r.fetch("q", 1))
			require.True(t, r.s.Nack(r.now, &held, &Refusal{Delay: 900}, &r.fx))
		}
	}
	add(300, 1, 1, false, 0)
	add(0, 1, 1, false, 0)
	add(300, 3, 1, false, 0)
	r.check()
	return r, ids
}

// encodings returns messages of a kind about a job: without terms, and with terms of
// generations that are behind, of and after the job's.
func encodings(k Kind, id ID, roll Roll) (list [5][]byte) {
	job := &Job{ID: id, Queue: "q", Body: []byte("body"), Repl: 2, Retry: 300, Created: 1, Expires: t0 + 5000, NextQueue: t0 + 9}
	m := Message{Kind: k, ID: id, Who: 1, Left: 500, Holders: SetOf(0, 1, 3), Queue: []byte("q"), Count: 3, Turn: 1, Job: job}
	list[0] = appendMessage(nil, t0, &m, roll)
	m.Flags = FlagHeld | FlagKnown | FlagForced
	for generation := range uint32(4) {
		m.Terms = &Terms{Priority: 3 + generation%2, Limit: 2, Tries: 1, Rank: 1, Generation: generation, Reason: []byte("r")}
		list[1+generation] = appendMessage(nil, t0, &m, roll)
	}
	return list
}

// Every kind of message about every job, of each sender.
func TestMessages(t *testing.T) {
	r, ids := messageShard(t)
	for k := MsgReplJob; k < endOfKinds; k++ {
		for i, data := range encodings(k, ids[0], r.s.limits.Roll) {
			for which := range ids {
				t.Run(fmt.Sprintf("kind %d, job %d, %d", k, which, i), func(t *testing.T) {
					throw(t, uint8(k-MsgReplJob), uint8(max(0, i-1)), uint8(which), 0, data)
				})
			}
		}
	}
}

// Messages that are not as they are sent. What is added is one of each kind with and
// without terms: the fuzzer begins each run with all of them.
func FuzzMessage(f *testing.F) {
	r, ids := messageShard(f)
	for k := MsgReplJob; k < endOfKinds; k++ {
		list := encodings(k, ids[0], r.s.limits.Roll)
		for i, data := range list[:2] {
			f.Add(uint8(k-MsgReplJob), uint8(i), uint8(k)%uint8(len(ids)), uint16(0), data)
		}
	}
	f.Fuzz(throw)
}

// throw gives a message to a shard: whatever it says of whichever job, the shard does not
// panic and keeps what it must keep; and what can be read says the same when it is written
// and read again.
func throw(t *testing.T, kind, from, which uint8, wait uint16, data []byte) {
	r, ids := messageShard(t)
	k, sender := MsgReplJob+Kind(kind%uint8(endOfKinds-MsgReplJob)), 1+uint16(from%3)
	data = append([]byte(nil), data...)
	if n := int(which); n < len(ids) && len(data) >= messageFix {
		copy(data[3:], ids[n][:]) // of a job that is known, and of the same again
	}
	roll := r.s.limits.Roll
	m, err := DecodeMessage(k, data, roll)
	if err != nil {
		require.ErrorIs(t, err, ErrCorrupt)
		return
	}
	again, err := DecodeMessage(k, appendMessage(nil, 0, m, roll), roll)
	require.NoError(t, err)
	parts := partsOf(k)
	require.Equal(t, m.ID, again.ID)
	require.Equal(t, m.Flags, again.Flags)
	require.Equal(t, m.Turn, again.Turn)
	if parts&partState != 0 {
		require.Equal(t, [2]int64{int64(m.Who), m.Left}, [2]int64{int64(again.Who), again.Left})
	}
	if parts&partNumber != 0 {
		require.Equal(t, m.Number, again.Number)
	}
	if parts&partHolders != 0 {
		require.Equal(t, m.Holders, again.Holders)
	}
	if parts&partQueue != 0 {
		require.Equal(t, m.Count, again.Count)
		require.Equal(t, string(m.Queue), string(again.Queue))
	}
	if parts&partJob != 0 {
		was := *m.Job
		was.Expires = max(1, was.Expires)
		require.Equal(t, was.ID, again.Job.ID)
		require.Equal(t, string(was.Body), string(again.Job.Body))
		require.Equal(t, [3]int64{was.Created, was.Expires, was.NextQueue}, [3]int64{again.Job.Created, again.Job.Expires, again.Job.NextQueue})
	}
	require.Equal(t, m.Terms, again.Terms)
	for range 2 {
		_ = r.s.Receive(r.now, sender, m, &r.fx)
		r.settled(t)
	}
	for _, ms := range [...]int64{int64(wait), 700, 700, 60_000, 400_000, 2e6} {
		r.now += ms
		for rounds := 0; r.s.Tick(r.now, 50, &r.fx); rounds++ {
			require.Less(t, rounds, 10_000, "the wheel does not come to rest")
		}
		r.settled(t)
	}
	for id := range ids {
		r.s.Ack(r.now, &ids[id], &r.fx)
	}
	r.settled(t)
	fresh := &rig{t: t, s: NewShard(r.now, Limits{Roll: roll}), now: r.now}
	from0 := 0
	for _, end := range r.fx.Journal.Ends {
		require.NoError(t, fresh.s.Replay(r.fx.Journal.Buf[from0:end], 1), "what was journalled can be read")
		from0 = end
	}
	var sum Settled
	for pos := int64(0); pos >= 0; {
		pos = fresh.s.Settle(fresh.now, pos, 7, Trust{Complete: true}, &fresh.fx, &sum)
	}
	fresh.check()
}

// settled checks a shard that messages were thrown at, and empties its outbox.
func (r *rig) settled(t testing.TB) {
	t.Helper()
	for r.s.Tick(r.now, 50, &r.fx) { // a TTL of nothing
	}
	r.fx.Outbox.Reset()
	r.check()
}
