package sim

import (
	"fmt"

	"github.com/disqo/disqo/store"
)

// clients are the programs that use the cluster.
type clients struct {
	s     *sim
	jobs  []*job
	live  []*job
	dying []*job // acknowledged, and not yet gone
	byID  map[store.ID]*job
	idle  bool // nobody consumes

	handed map[store.ID][]int64 // when nodes delivered each job, deliveries that were taken back left out
	purged map[string]int64     // until when what is added to a queue may be meant by a QPURGE
}

func (c *clients) init(s *sim) {
	c.s, c.byID, c.purged, c.handed = s, map[store.ID]*job{}, map[string]int64{}, map[store.ID][]int64{}
}

// gift is a job as a client got it.
type gift struct {
	id          store.ID
	queue, body string
	lease       int64
	turn        uint8
	at          int64 // when the node let go of it
}

// gift makes one of a job that a node is about to let go of, maybe before whoever
// adds the job knows its id.
func (c *clients) gift(j *store.Job) gift {
	c.handed[j.ID] = append(c.handed[j.ID], c.s.now)
	return gift{j.ID, j.Queue, string(j.Body), j.NextQueue, j.Turn, c.s.now}
}

func (c *clients) queueName(arg uint64) string { return fmt.Sprint("q", arg%uint64(c.s.swarm.queues)) }

// queues are the names of all queues.
func (c *clients) queues() (names [][]byte) {
	for i := range c.s.swarm.queues {
		names = append(names, []byte(c.queueName(uint64(i))))
	}
	return names
}

// do does a step.
func (s *sim) do(step *Step) {
	c, p := &s.clients, s.procs[step.Node%len(s.procs)]
	s.hash.add(uint64(s.now), uint64(step.Op), step.Arg)
	if step.Op >= opHeal || step.Op == opRestart || step.Op == opFlush || step.Op == opRewrite || step.Op == opLog {
		s.nemesis.do(step, p)
		return
	}
	p.on(p.life, func() {
		if p.retired {
			return // it lets nobody in
		}
		switch step.Op {
		case opAdd:
			c.addJob(p, step)
		case opGet:
			c.getJob(p, c.some(step.Arg), 1+int(mix(step.Arg, 1)%20), step.For)
		case opPause:
			c.pause(p, step)
		case opLook:
			c.look(p, step)
		case opKick:
			c.kick(p, c.queueName(step.Arg), 1+int(mix(step.Arg, 60)%5))
		case opPurge:
			c.purge(p, step)
		default:
			if j := c.any(step.Arg); j != nil {
				c.command(p, step.Op, j)
			}
		}
	})
}

// some draws queues.
func (c *clients) some(arg uint64) [][]byte {
	names := [][]byte{[]byte(c.queueName(arg))}
	if mix(arg, 2)%4 == 0 {
		names = append(names, []byte(c.queueName(mix(arg, 3))))
	}
	return names
}

// any draws one of the jobs whose fate matters.
func (c *clients) any(arg uint64) *job {
	if len(c.live) == 0 {
		return nil
	}
	return c.live[arg%uint64(len(c.live))]
}

// chance draws whether something of so many per cent is so.
func chance(percent int, words ...uint64) bool { return int(mix(words...)%100) < percent }
