package bench

import "sync"

// What is known of a job, as bits.
const (
	once      uint8 = 1 << iota // at most once: sent with RETRY 0
	added                       // its ADDJOB was answered with an id
	refused                     // its ADDJOB was answered with an error
	delivered                   // it came out of a GETJOB
	acking                      // an ACKJOB is on its way
	unsure                      // an ACKJOB was on its way when a broker died
	again                       // it was acknowledged more than once
	acked                       // an ACKJOB was answered
)

// Checker is the judge of a torture: a total queue. Clients tell it what they
// do and what they are answered; it finds
//
//   - lost: an ADDJOB was answered, no ACKJOB was sent, and the job never comes;
//     or the broker does not know a job that it delivered;
//   - undone: a GETJOB that was sent after the job's ACKJOB was answered
//     delivers the job;
//   - unexpected: a job comes that was never sent, was refused, has another id or
//     another body;
//   - twice: an at-most-once job is delivered twice.
//
// What was under way when a broker died is unknown and may go either way: an
// ADDJOB or ACKJOB without an answer, and at-most-once jobs in a GETJOB without
// one. Everything must be reported in the order in which it happens: before
// the request is sent, after its answer was read. Five bytes are kept of each
// job and the id of each that is due. It is safe for concurrent use.
type Checker struct {
	mu      sync.Mutex
	state   []uint8
	ackedAt []uint32          // the clock when the first ACKJOB was answered
	open    map[uint64]string // ids of the jobs that are due: added, neither acknowledged nor spent
	clock   uint32            // GETJOBs sent so far
	cuts    []cut
	v       Verdict
}

// cut is a GETJOB without an answer, or several of one moment.
type cut struct {
	sent uint64 // numbers below were sent before
	most int    // at-most-once jobs that it can have carried away
}

// NewChecker returns a judge that has seen nothing.
func NewChecker() *Checker { return &Checker{open: make(map[uint64]string)} }

// Send returns the number of a job that is about to be sent.
func (c *Checker) Send(atMostOnce bool) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := uint8(0)
	if atMostOnce {
		s = once
	}
	c.state = append(c.state, s)
	c.ackedAt = append(c.ackedAt, 0)
	return uint64(len(c.state) - 1)
}

// Added says that the ADDJOB of job n was answered with an id.
func (c *Checker) Added(n uint64, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v.Added++
	s := c.state[n]
	c.state[n] |= added
	if s&acked == 0 && s&(once|delivered) != once|delivered {
		c.open[n] = id
	}
}

// Refused says that the ADDJOB of job n was answered with an error that means
// it was not added.
func (c *Checker) Refused(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v.Refused++
	c.state[n] |= refused
	if c.state[n]&delivered != 0 {
		c.v.Unexpected.add(n, c.open[n], "was refused, but delivered before")
	}
}

// Asked returns the stamp of a GETJOB that is about to be sent.
func (c *Checker) Asked() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	return c.clock
}

// Abandoned says that a GETJOB which could have carried away so many
// at-most-once jobs will never be answered.
func (c *Checker) Abandoned(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts = append(c.cuts, cut{sent: uint64(len(c.state)), most: most})
}

// Strange says that something came which is no job of ours.
func (c *Checker) Strange(id, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v.Delivered++
	c.v.Unexpected.add(0, id, why)
}

// Delivered says that the GETJOB with the given stamp was answered with job n,
// and reports whether such a job was ever sent.
func (c *Checker) Delivered(stamp uint32, n uint64, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.v.Delivered++
	if n >= uint64(len(c.state)) {
		c.v.Unexpected.add(n, id, "was never sent")
		return false
	}
	s := c.state[n]
	if known := c.open[n]; known != "" && known != id {
		c.v.Unexpected.add(n, id, "was added as "+known)
	}
	switch {
	case s&refused != 0:
		c.v.Unexpected.add(n, id, "was refused")
	case s&once != 0 && s&delivered != 0:
		c.v.Twice.add(n, id, "")
	case s&acked != 0 && stamp > c.ackedAt[n]:
		c.v.Undone.add(n, id, "")
	}
	if s&delivered != 0 {
		c.v.Duplicates++
	}
	c.state[n] = s&^unsure | delivered // it is here, so that ACKJOB came to nothing
	if s&once != 0 {
		delete(c.open, n)
	}
	return true
}

// Acking says that an ACKJOB of job n is about to be sent.
func (c *Checker) Acking(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state[n]&(acking|unsure|acked) != 0 {
		c.state[n] |= again
	}
	c.state[n] |= acking
}

// Acked says that an ACKJOB of job n was answered, and whether the answer
// counts the job. It need not if the job was acknowledged before.
func (c *Checker) Acked(n uint64, counted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state[n]
	if !counted && s&(added|again) == added {
		c.v.Lost.add(n, c.open[n], "was delivered, but its first ACKJOB is answered with 0")
	}
	if s&acked == 0 {
		c.v.Acked++
		c.ackedAt[n] = c.clock
	}
	c.state[n] = s&^acking | acked
	delete(c.open, n)
}
