package node

import (
	"errors"
	"time"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// journal is a log that changes are appended to.
type journal struct {
	log     *aof.Log
	since   uint32 // first segment of this log
	picture bool   // it is left as soon as it is whole
	keep    keeper
}

// Mark says how much of the log must be safe before something may be answered:
// written to the kernel, and on disk if the policy is always. The zero Mark
// asks for nothing. Not safe for concurrent use.
type Mark struct {
	j  *journal
	at aof.Pos
}

// Add asks for what o asks for, too. Of a log that was switched off meanwhile
// everything is safe already.
func (m *Mark) Add(o Mark) {
	if o.j != nil && (m.j != o.j || m.at < o.at) {
		*m = o
	}
}

// Wait returns when everything that was asked for is safe, and asks for nothing
// from then on. After an error nothing may be answered: the log has failed, and
// the node with it.
func (m *Mark) Wait() error {
	if m.j == nil {
		return nil
	}
	j, at := m.j, m.at
	*m = Mark{}
	return j.log.Commit(at)
}

// room is what a change may journal.
type room struct {
	bytes int
	class aof.Class
}

// recordRoom is room for the record of a change to one job, and for that of a
// hand-off that it leads to.
const recordRoom = 2 * (store.StateSize + aof.RecordOverhead)

// forJobs is the room of a change to n jobs.
func forJobs(n int) room { return room{n * recordRoom, aof.Urgent} }

// patience bounds the wait for room in the log.
const patience = 5 * time.Second

// reserve takes the room in the log, if there is one.
func (j *journal) reserve(need room) error {
	if j == nil || need.bytes == 0 {
		return nil
	}
	err := j.log.Reserve(need.bytes, need.class, patience)
	if j.keep.n.manual && errors.Is(err, aof.ErrBusy) {
		j.log.Tick() // nobody else writes what is in the way
		err = j.log.Reserve(need.bytes, need.class, patience)
	}
	return err
}

func (j *journal) unreserve(need room) {
	if j != nil && need.bytes > 0 {
		j.log.Unreserve(need.bytes)
	}
}

// take appends what a change journalled, gives back the room it reserved, and
// returns where that is in the log. The shard's lock is held: the order of the
// log is the order of the changes.
func (j *journal) take(jn *store.Journal, need room) Mark {
	if len(jn.Ends) == 0 {
		j.unreserve(need)
		return Mark{}
	}
	at := j.log.Append(jn.Buf, jn.Ends, need.bytes)
	jn.Reset()
	return Mark{j, at}
}
