package main

import (
	"fmt"
	"io"

	"github.com/disqo/disqo/server/disqueaof"
)

// outcome is what became of an import.
type outcome struct {
	to       string
	ledger   string
	put      int // now
	before   int // by earlier runs
	doubtful int // RETRY 0, sent by earlier runs and not answered: left out
	expired  int // their TTL ended meanwhile
	left     int // not yet put
	unknown  int // of these, sent and not answered
}

// skip returns the jobs that earlier runs did not put.
func (o *outcome) skip(jobs []*disqueaof.Job, l *ledger) []*disqueaof.Job {
	rest := make([]*disqueaof.Job, 0, len(jobs))
	for _, j := range jobs {
		switch put, known := l.past[j.ID]; {
		case put:
			o.before++
		case known:
			o.doubtful++
		default:
			rest = append(rest, j)
		}
	}
	return rest
}

// print says what was done.
func (o *outcome) print(w io.Writer) {
	fmt.Fprintf(w, "%d jobs put into %s, with new ids: %s has the old and the new ones\n", o.put, o.to, o.ledger)
	if o.before > 0 {
		fmt.Fprintf(w, "%d jobs were put before\n", o.before)
	}
	if o.doubtful > 0 {
		fmt.Fprintf(w, "%d jobs left out: RETRY 0, and perhaps put before, when their answer was lost\n", o.doubtful)
	}
	if o.expired > 0 {
		fmt.Fprintf(w, "%d jobs left out: their TTL ended meanwhile\n", o.expired)
	}
}

// advise says how to go on after an import that stopped.
func (o *outcome) advise(w io.Writer) {
	fmt.Fprintf(w, "%d jobs are not put yet. To go on, see to the cause and say the same with --resume.\n", o.left)
	if o.unknown > 0 {
		fmt.Fprintf(w, "Of these, %d were sent and not answered, and may be there: --resume puts them again, but those with RETRY 0\n", o.unknown)
	}
}
