package store

// Class says where a job is in its life more finely than its State does.
type Class uint8

// The classes of jobs that Counts tells apart.
const (
	ClassWaiting Class = iota // for copies
	ClassActive               // delivered, or a copy of what another node has
	ClassDelayed              // waits for the end of a DELAY or back-off
	ClassQueued
	ClassAcked
	ClassDead
	numJobClasses
)

// class returns where a job is in its life.
func (s *Shard) class(h uint32) Class {
	switch j := s.slots.get(h); j.state {
	case WaitRepl:
		return ClassWaiting
	case Queued:
		return ClassQueued
	case Acked:
		return ClassAcked
	case Dead:
		return ClassDead
	default:
		if t := s.slots.terms(h); j.flags&flagQueuedOnce == 0 || t != nil && t.flags&termsHeld != 0 {
			return ClassDelayed
		}
		return ClassActive
	}
}

// lift takes a job out of the wheel and the counts, so that it may be changed;
// lay puts it back.
func (s *Shard) lift(h uint32) {
	s.count(h, -1)
	s.wheel.stop(h)
}

func (s *Shard) lay(h uint32) {
	s.wheel.start(h)
	s.count(h, 1)
}

// count counts a job: by queue only if its class is one of the seldom ones, as
// how many are queued or dead their trees know, and the others are active.
func (s *Shard) count(h uint32, n int) {
	j := s.slots.get(h)
	switch j.state {
	case Queued:
		s.counts.Jobs[ClassQueued] += n
		return
	case Dead:
		s.counts.Jobs[ClassDead] += n
		return
	case Active:
		if j.flags&flagQueuedOnce != 0 && s.slots.terms(h) == nil {
			return
		}
	}
	if k := s.class(h); k != ClassActive {
		s.counts.Jobs[k] += n
		s.queues[j.queue].counts.Jobs[k] += n
	}
}

// countsOf returns the counts of a queue.
func (q *queue) countsOf() Counts {
	c := q.counts
	if q.live {
		c.Jobs[ClassQueued] = q.jobs.Len()
	}
	if q.dead != nil {
		c.Jobs[ClassDead] = q.dead.Len()
	}
	c.rest(q.refs)
	return c
}

// rest counts as active what is in no other class, of so many jobs.
func (c *Counts) rest(jobs int) {
	c.Jobs[ClassActive] = jobs
	for k, n := range c.Jobs {
		if Class(k) != ClassActive {
			c.Jobs[ClassActive] -= n
		}
	}
}

// Event is something that Counts counts.
type Event uint8

// The events of Counts.
const (
	EventDelivered Event = iota // a delivery, unless it never reached its client
	EventAcked                  // a job was acknowledged here
	EventNacked                 // a consumer gave a job back here
	EventExpired                // the TTL of a job ended before it was acknowledged
	EventRetried                // a job was queued again as a lease ran out
	EventDied                   // a job died or was buried here
	EventKicked                 // a dead job was put back here
	EventPurged                 // QPURGE deleted a job here
	EventQueued                 // a job came into its queue: a new one, one again, one of another node
	EventLeft                   // a job left its queue, for whatever reason
	numEvents
)

// Counts is what a queue, or all queues of a shard or node, have and did.
type Counts struct {
	Jobs   [numJobClasses]int // by Class
	Events [numEvents]uint64  // since the queue came to life, or the node started
}

// Add adds the counts of another.
func (c *Counts) Add(o *Counts) {
	for k, n := range o.Jobs {
		c.Jobs[k] += n
	}
	for k, n := range o.Events {
		c.Events[k] += n
	}
}

// Counts returns those of all queues of the shard.
func (s *Shard) Counts() Counts {
	c := s.counts
	c.rest(s.slots.live)
	return c
}

// happened counts an event, of a queue and of all.
func (s *Shard) happened(q *queue, e Event) {
	q.counts.Events[e]++
	s.counts.Events[e]++
}

// happenedTo is happened for the queue of a job.
func (s *Shard) happenedTo(j *slot, e Event) { s.happened(s.queues[j.queue], e) }

// unhappened takes an event back.
func (s *Shard) unhappened(q *queue, e Event) {
	q.counts.Events[e] -= min(q.counts.Events[e], 1)
	s.counts.Events[e] -= min(s.counts.Events[e], 1)
}
