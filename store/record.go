package store

import (
	"encoding/binary"
	"slices"
)

// The kinds of records, as Record has them.
const (
	KindPut   = "put"   // all of a job
	KindState = "state" // what is new about a job
	KindDel   = "del"   // a job is gone
	KindQueue = "queue" // the settings of a queue
	KindFlush = "flush" // jobs and settings are gone
)

// Record is a record of the log, readable.
type Record struct {
	Kind string
	ID   ID // of a put, state or del
	// Job is what the record says of the job: everything in a put; State,
	// NextQueue, Nacks, Extra and Terms, with the ID, in a state; nil otherwise.
	Job        *Job
	Delivered  bool     // of a put or state: delivered here at least once
	QueuedOnce bool     // of a put or state: was in its queue before
	Queue      string   // of a put or queue
	Pause      Pause    // of a queue
	Low, High  uint16   // of a flush: jobs and queues with a hash16 from Low to High
	Holders    []NodeID // of a put or state: nodes that may hold the job, if they are told
	Sync       uint16   // with Holders: nodes that the job had to be on before its producer was answered
	Leased     bool     // with Holders: a consumer of this node has it
	Moved      bool     // with Holders: another node was given it
	Spreading  bool     // with Holders: this node sees to it that enough nodes hold it
}

// ParseRecord reads a record. The body of its job aliases rec. It accepts all
// that Replay does; errors wrap ErrCorrupt.
func ParseRecord(rec []byte) (Record, error) {
	low, high, err := RecordHash(rec)
	if err != nil {
		return Record{}, err
	}
	switch rec[0] {
	case recPut, recPutSet, recPutTerms:
		return parsePut(rec)
	case recState, recStateSet, recStateTerms:
		return parseState(rec)
	case recDel:
		return Record{Kind: KindDel, ID: ID(rec[1:delSize])}, nil
	case recQueue:
		return parseQueue(rec)
	}
	return Record{Kind: KindFlush, Low: low, High: high}, nil
}

func parsePut(rec []byte) (Record, error) {
	r := Record{Kind: KindPut}
	body := rec[2:]
	var t *Terms
	if rec[0] != recPut {
		var err error
		if body, err = r.holders(body); err != nil {
			return Record{}, err
		}
	}
	if rec[0] == recPutTerms {
		var err error
		if t, body, err = cutWhole(body); err != nil {
			return Record{}, err
		}
	}
	j, err := DecodeJob(body)
	if err != nil {
		return Record{}, err
	}
	j.Terms = t
	r.ID, r.Job, r.Queue = j.ID, j, j.Queue
	r.flags(rec[1])
	return r, nil
}

func parseState(rec []byte) (Record, error) {
	le := binary.LittleEndian
	id := ID(rec[2:26])
	j := &Job{
		ID: id, State: State(rec[26]), NextQueue: int64(le.Uint64(rec[27:])),
		Nacks: le.Uint16(rec[35:]), Extra: le.Uint16(rec[37:]),
	}
	if j.State >= NumStates || !possible(j.NextQueue) {
		return Record{}, corrupt("state %d, next queue %d", j.State, j.NextQueue)
	}
	r := Record{Kind: KindState, ID: id, Job: j}
	if rec[0] != recState {
		rest, err := r.holders(rec[stateSize:])
		if err != nil {
			return Record{}, err
		}
		if rec[0] == recStateTerms {
			if j.Terms, _, err = cutTerms(rest); err != nil {
				return Record{}, err
			}
		}
	}
	r.flags(rec[1])
	return r, nil
}

func parseQueue(rec []byte) (Record, error) {
	p := Pause(rec[1])
	if p > PauseIn|PauseOut {
		return Record{}, corrupt("pause %d", p)
	}
	return Record{Kind: KindQueue, Queue: string(rec[queueHead:]), Pause: p}, nil
}

func (r *Record) flags(b byte) {
	r.Delivered, r.QueuedOnce = b&flagDelivered != 0, b&flagQueuedOnce != 0
	r.Leased, r.Moved, r.Spreading = b&keptLease != 0, b&keptMoved != 0, b&keptDuty != 0
}

// holders reads what is said of other holders and returns what follows.
func (r *Record) holders(src []byte) (rest []byte, err error) {
	var roll listRoll
	var set Set
	if r.Sync, set, rest, err = cutHolders(src, &roll); err != nil {
		return nil, err
	}
	set.Each(func(n uint16) bool {
		r.Holders = append(r.Holders, roll.ID(n))
		return true
	})
	return rest, nil
}

// listRoll numbers nodes as they come.
type listRoll []NodeID

func (l *listRoll) Number(id NodeID) (uint16, bool) {
	if i := slices.Index(*l, id); i >= 0 {
		return uint16(i), true
	}
	*l = append(*l, id)
	return uint16(len(*l) - 1), true
}

func (l *listRoll) ID(number uint16) NodeID { return (*l)[number] }
