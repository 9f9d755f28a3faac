package bench

import (
	"fmt"
	"slices"
	"strings"
)

// sampleMax is how many of each kind of fault are kept and listed.
const sampleMax = 20

// Fault is one job that went wrong.
type Fault struct {
	Number uint64 `json:"number"` // of the job within the run
	ID     string `json:"id,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Faults are all of one kind: how many, and the first of them.
type Faults struct {
	Count  int     `json:"count"`
	Sample []Fault `json:"sample,omitempty"`
}

func (f *Faults) add(n uint64, id, why string) {
	f.Count++
	if len(f.Sample) < sampleMax {
		f.Sample = append(f.Sample, Fault{n, id, why})
	}
}

// Verdict is a Checker's report. It is the same for every torture.
type Verdict struct {
	Sent      int `json:"sent"`      // jobs sent
	Added     int `json:"added"`     // answered with an id
	Refused   int `json:"refused"`   // answered with an error
	Unknown   int `json:"unknown"`   // not answered
	Recovered int `json:"recovered"` // of the unknown: delivered later
	Delivered int `json:"delivered"` // deliveries of all jobs
	Repeated  int `json:"repeated"`  // deliveries after a job's first
	Acked     int `json:"acked"`     // jobs whose ACKJOB was answered
	Spent     int `json:"spent"`     // at-most-once jobs that may have gone with a GETJOB without an answer

	Lost    Faults `json:"lost"`
	Undone  Faults `json:"undone"`
	Phantom Faults `json:"phantom"`
	Twice   Faults `json:"twice"`
}

// OK reports whether nothing went wrong.
func (v *Verdict) OK() bool {
	return v.Lost.Count+v.Undone.Count+v.Phantom.Count+v.Twice.Count == 0
}

func (v Verdict) clone() Verdict {
	for _, f := range v.faults() {
		f.Sample = slices.Clone(f.Sample)
	}
	return v
}

func (v *Verdict) faults() []*Faults { return []*Faults{&v.Lost, &v.Undone, &v.Phantom, &v.Twice} }

// String returns the figures in two lines and a line for each fault listed.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sent %d  added %d  refused %d  unknown %d (recovered %d)  delivered %d (repeated %d)  acked %d  spent %d\n"+
		"lost %d  undone %d  phantom %d  twice %d\n",
		v.Sent, v.Added, v.Refused, v.Unknown, v.Recovered, v.Delivered, v.Repeated, v.Acked, v.Spent,
		v.Lost.Count, v.Undone.Count, v.Phantom.Count, v.Twice.Count)
	for i, kind := range []string{"lost", "undone", "phantom", "twice"} {
		for _, f := range v.faults()[i].Sample {
			fmt.Fprintf(&b, "  %s: job %d %s %s\n", kind, f.Number, f.ID, f.Why)
		}
	}
	return b.String()
}
