package bench

import "slices"

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
	Sent       int `json:"sent"`       // jobs sent
	Added      int `json:"added"`      // answered with an id
	Refused    int `json:"refused"`    // answered with an error
	Unknown    int `json:"unknown"`    // not answered
	Recovered  int `json:"recovered"`  // of the unknown: delivered later
	Delivered  int `json:"delivered"`  // deliveries of all jobs
	Duplicates int `json:"duplicates"` // deliveries after a job's first
	Acked      int `json:"acked"`      // jobs whose ACKJOB was answered
	Spent      int `json:"spent"`      // at-most-once jobs that may have gone with a GETJOB without an answer

	Lost       Faults `json:"lost"`
	Unexpected Faults `json:"unexpected"`
	Undone     Faults `json:"undone"`
	Twice      Faults `json:"twice"`
}

func (v Verdict) clone() Verdict {
	for _, f := range v.faults() {
		f.Sample = slices.Clone(f.Sample)
	}
	return v
}

// faultNames are the words for what faults returns.
var faultNames = []string{"lost", "unexpected", "undone", "twice"}

func (v *Verdict) faults() []*Faults { return []*Faults{&v.Lost, &v.Unexpected, &v.Undone, &v.Twice} }
