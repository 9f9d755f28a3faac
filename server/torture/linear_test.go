//go:build linux

package torture

import (
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

var linearRuns = flag.Int("linear.runs", 0, "TestLinearizable: how many; 0: as many as fit 5 seconds, 2 in short mode")

const (
	linearClients = 8
	linearCalls   = 1000 // of each client
	// linearLength is how long a queue gets, about. The checker must find out in
	// which order the jobs in it were added.
	linearLength = 20
	linearLimit  = 20 * time.Second
)

// outcome is a command with the kind of answer it got.
type outcome uint8

const (
	added    outcome = iota // ADDJOB: an id
	rejected                // ADDJOB: paused
	got                     // GETJOB: a job
	nothing                 // GETJOB NOHANG: none
	waited                  // GETJOB TIMEOUT: none in time
	length                  // QLEN
	deleted                 // DELJOB
	dequeued                // DEQUEUE
	enqueued                // ENQUEUE
	paused                  // PAUSE in|out|all|none
	asked                   // PAUSE state
	outcomes
)

var outcomeNames = [outcomes]string{"added", "rejected", "got", "nothing", "waited", "length", "deleted", "dequeued", "enqueued", "paused", "asked"}

// act is a command on a queue, with its answer.
type act struct {
	what outcome
	job  int // that was added, that came, that was named
	n    int // what was answered, or what pause was asked for
}

func (a act) String() string {
	switch a.what {
	case added, rejected, got:
		return fmt.Sprintf("%s %d", outcomeNames[a.what], a.job)
	case deleted, dequeued, enqueued:
		return fmt.Sprintf("%s %d: %d", outcomeNames[a.what], a.job, a.n)
	case length:
		return fmt.Sprintf("length %d", a.n)
	case paused, asked:
		return outcomeNames[a.what] + " " + pauses[a.n]
	}
	return outcomeNames[a.what]
}

// pauses are the names of what in and out add up to.
var pauses = []string{"none", "in", "out", "all"}

const in, out = 1, 2

// line is the state of a queue: its jobs in the order in which they were added,
// two bytes each, those that DEQUEUE took out marked.
type line struct {
	jobs  string
	pause int
}

const parked = 1 << 15

func (l line) at(i int) int { return int(l.jobs[i])<<8 | int(l.jobs[i+1]) }

// find returns where a job is, or -1.
func (l line) find(job int) int {
	for i := 0; i < len(l.jobs); i += 2 {
		if l.at(i) == job {
			return i
		}
	}
	return -1
}

// queued returns how many jobs are not parked, and where the first of them is,
// or -1.
func (l line) queued() (n, first int) {
	first = -1
	for i := len(l.jobs) - 2; i >= 0; i -= 2 {
		if l.at(i) < parked {
			n, first = n+1, i
		}
	}
	return n, first
}

// change returns the line with other jobs, or none, instead of the one at i.
func (l line) change(i int, jobs ...int) line {
	b := []byte(l.jobs[:i])
	for _, job := range jobs {
		b = binary.BigEndian.AppendUint16(b, uint16(job))
	}
	if i < len(l.jobs) {
		b = append(b, l.jobs[i+2:]...)
	}
	l.jobs = string(b)
	return l
}

// next returns what a command makes of the queue, and whether it can be
// answered so.
func (l line) next(a act) (line, bool) {
	n, first := l.queued()
	switch a.what {
	case added:
		return l.change(len(l.jobs), a.job), l.pause&in == 0
	case rejected:
		return l, l.pause&in != 0
	case got:
		if l.pause&out == 0 && n > 0 && l.at(first) == a.job {
			return l.change(first), true
		}
		return l, false
	case nothing, waited: // who waits in vain found nothing when he came
		return l, l.pause&out != 0 || n == 0
	case length:
		return l, a.n == n
	case deleted: // a job that was delivered is still known, and none is deleted twice
		if i := max(l.find(a.job), l.find(a.job|parked)); i >= 0 {
			l = l.change(i)
		}
		return l, a.n == 1
	case dequeued:
		if i := l.find(a.job); i >= 0 {
			return l.change(i, a.job|parked), a.n == 1
		}
		return l, a.n == 0
	case enqueued: // goes to where it was
		if i := l.find(a.job | parked); i >= 0 {
			return l.change(i, a.job), a.n == 1
		}
		return l, a.n == 0
	case paused:
		l.pause = a.n
		return l, true
	case asked:
		return l, a.n == l.pause
	}
	return l, false
}

// model is a queue of at-most-once jobs: first in, first out.
//
// In which order jobs were added at the same time shows only when they leave. The
// checker would try all orders of all jobs of a long queue, were it not told what
// cannot be: a job is not delivered while one before it is in the queue.
func model(history []porcupine.Operation) porcupine.Model {
	delivered, lives := map[int]span{}, map[int][]span{}
	for _, op := range history {
		if a := op.Input.(act); a.what == got {
			delivered[a.job] = span{op.Call, op.Return}
		}
	}
	for _, op := range history { // whoever added a job is the only one who names it
		switch a := op.Input.(act); {
		case a.what == added, a.what == enqueued && a.n == 1:
			life := span{op.Return, math.MaxInt64}
			if a.what == added {
				life.from = -1 // whoever is behind it came later
			}
			if d, ok := delivered[a.job]; ok {
				life.to = d.from
			}
			lives[a.job] = append(lives[a.job], life)
		case a.what == deleted, a.what == dequeued && a.n == 1:
			if n := len(lives[a.job]); n > 0 {
				last := &lives[a.job][n-1]
				last.to = min(last.to, op.Call)
			}
		}
	}
	// behind reports whether a job can be behind another one.
	behind := func(job, other int) bool {
		d, ok := delivered[job]
		return !ok || !slices.ContainsFunc(lives[other], func(life span) bool { return life.from < d.from && d.to < life.to })
	}
	return porcupine.Model{
		Init: func() any { return line{} },
		Step: func(state, input, _ any) (bool, any) {
			l, a := state.(line), input.(act)
			if a.what == added {
				for i := 0; i < len(l.jobs); i += 2 {
					if !behind(a.job, l.at(i)&^parked) {
						return false, nil
					}
				}
			}
			l, ok := l.next(a)
			return ok, l
		},
	}
}

// span is a time when something may have been so, or surely was.
type span struct{ from, to int64 }

// judge checks the history of a queue, and explains what is wrong with it.
func judge(history []porcupine.Operation) (porcupine.CheckResult, string) {
	m := model(history)
	result := porcupine.CheckOperationsTimeout(m, history, linearLimit)
	if result != porcupine.Illegal {
		return result, "the checker did not end: make the histories smaller"
	}
	_, info := porcupine.CheckOperationsVerbose(m, history, linearLimit)
	var best []int
	for _, part := range info.PartialLinearizations()[0] {
		if len(part) > len(best) {
			best = part
		}
	}
	var b strings.Builder
	show := func(op porcupine.Operation) {
		fmt.Fprintf(&b, "\t%d to %d µs, client %d: %v\n", op.Call/1000, op.Return/1000, op.ClientId, op.Input)
	}
	fmt.Fprintf(&b, "%d of %d commands can be put in order; the last of them:\n", len(best), len(history))
	done := map[int]bool{}
	for i, id := range best {
		if done[id] = true; i >= len(best)-20 {
			show(history[id])
		}
	}
	b.WriteString("but then none of these can follow:\n")
	left := 0
	for id, op := range history { // in the order of their calls
		if !done[id] && left < 20 {
			left++
			show(op)
		}
	}
	return result, b.String()
}

// caller is a client that does this and that, and writes down what and when.
type caller struct {
	*wire
	id      int
	rng     *rand.Rand
	begun   time.Time
	queues  []*lane
	history [][]porcupine.Operation // of each queue
	mine    [][]mine                // jobs that it added to each

	adds, polls, pauses int // how often, in percent
}

// lane is a queue as those know it who use it.
type lane struct {
	name   string
	number atomic.Int32 // of the job that was added last
	length atomic.Int32 // about
}

type mine struct {
	job int
	id  string
}

// any does something to a queue.
func (c *caller) any(q int) error {
	x := c.rng.IntN(100)
	under := func(share int) bool { x -= share; return x < 0 }
	own := func() (i int) { return c.rng.IntN(len(c.mine[q])) }
	lane := c.queues[q]
	switch some := len(c.mine[q]) > 0; {
	case lane.length.Load() < linearLength && under(c.adds):
		return c.add(q)
	case under(c.pauses):
		return c.pause(q, c.rng.IntN(8))
	case under(4):
		return c.number(q, act{what: length}, "QLEN "+lane.name)
	case some && under(3):
		i := own()
		j := c.mine[q][i]
		c.mine[q] = slices.Delete(c.mine[q], i, i+1)
		return c.number(q, act{what: deleted, job: j.job}, "DELJOB "+j.id)
	case some && under(4):
		j := c.mine[q][own()]
		return c.number(q, act{what: dequeued, job: j.job}, "DEQUEUE "+j.id)
	case some && under(4):
		j := c.mine[q][own()]
		return c.number(q, act{what: enqueued, job: j.job}, "ENQUEUE "+j.id)
	case c.rng.IntN(100) < c.polls:
		return c.get(q, nothing, "NOHANG")
	}
	return c.get(q, waited, fmt.Sprint("TIMEOUT ", 1+c.rng.IntN(3)))
}

// call sends a command, and writes down what hear makes of its reply.
func (c *caller) call(q int, command string, hear func() (act, error)) error {
	called := time.Since(c.begun)
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return err
	}
	a, err := hear()
	returned := time.Since(c.begun)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	c.history[q] = append(c.history[q], porcupine.Operation{ClientId: c.id, Input: a, Call: int64(called), Return: int64(returned)})
	return nil
}

func (c *caller) add(q int) error {
	job := int(c.queues[q].number.Add(1))
	return c.call(q, fmt.Sprintf("ADDJOB %s %d 0 RETRY 0 REPLICATE 1", c.queues[q].name, job), func() (act, error) {
		reply, err := c.line()
		switch {
		case err != nil:
		case isID(reply):
			c.mine[q] = append(c.mine[q], mine{job, reply[1:]})
			c.queues[q].length.Add(1)
		case strings.HasPrefix(reply, "-PAUSED "):
			return act{what: rejected, job: job}, nil
		default:
			err = fmt.Errorf("not an id: %q", reply)
		}
		return act{what: added, job: job}, err
	})
}

func (c *caller) get(q int, none outcome, option string) error {
	return c.call(q, fmt.Sprintf("GETJOB %s FROM %s", option, c.queues[q].name), func() (act, error) {
		_, bodies, err := c.jobs()
		if err != nil || len(bodies) == 0 {
			return act{what: none}, err
		}
		c.queues[q].length.Add(-1)
		job, err := strconv.Atoi(bodies[0])
		return act{what: got, job: job}, err
	})
}

// number does what is answered by a number.
func (c *caller) number(q int, a act, command string) error {
	return c.call(q, command, func() (_ act, err error) {
		reply, err := c.line()
		if err == nil {
			a.n, err = strconv.Atoi(strings.TrimPrefix(reply, ":"))
		}
		if a.what == length {
			c.queues[q].length.Store(int32(a.n))
		}
		return a, err
	})
}

// pause sets one of four states, or asks for it.
func (c *caller) pause(q, to int) error {
	a, option := act{what: asked}, "state"
	if to < len(pauses) {
		a, option = act{what: paused, n: to}, pauses[to]
	}
	return c.call(q, fmt.Sprintf("PAUSE %s %s", c.queues[q].name, option), func() (act, error) {
		reply, err := c.line()
		n := slices.Index(pauses, strings.TrimPrefix(reply, "+"))
		if err == nil && n < 0 {
			err = fmt.Errorf("not a pause: %q", reply)
		}
		if a.what == paused && n != to {
			err = fmt.Errorf("PAUSE %s is answered with %q", option, reply)
		}
		a.n = n
		return a, err
	})
}

// drain takes all that is left.
func (c *caller) drain(q int) error {
	if err := c.pause(q, 0); err != nil {
		return err
	}
	for {
		if err := c.get(q, nothing, "NOHANG"); err != nil {
			return err
		}
		if last := c.history[q][len(c.history[q])-1]; last.Input.(act).what == nothing {
			return nil
		}
	}
}

// record lets clients loose on a few queues, and returns the histories of these,
// each in the order of the calls.
func record(t *testing.T, addr string, run int, seed uint64) [][]porcupine.Operation {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, uint64(run)))
	queues := make([]*lane, 4+rng.IntN(13))
	for q := range queues {
		queues[q] = &lane{name: fmt.Sprintf("run%d-%d", run, q)}
	}
	base := caller{begun: time.Now(), queues: queues, adds: 30 + rng.IntN(15), polls: 60 + rng.IntN(40)}
	if run%2 == 1 {
		base.pauses = 1 + rng.IntN(8)
	}
	callers := make([]*caller, linearClients)
	for i := range callers {
		c := base
		c.wire, c.id, c.rng = dial(t, addr), i, rand.New(rand.NewPCG(rng.Uint64(), 0))
		c.history, c.mine = make([][]porcupine.Operation, len(queues)), make([][]mine, len(queues))
		callers[i] = &c
	}
	require.NoError(t, parallel(len(callers), func(i int) (err error) {
		c := callers[i]
		for n := 0; n < linearCalls && err == nil; n++ {
			err = c.any(c.rng.IntN(len(queues)))
		}
		return err
	}))
	all := make([][]porcupine.Operation, len(queues))
	for q := range queues {
		require.NoError(t, callers[0].drain(q))
		for _, c := range callers {
			all[q] = append(all[q], c.history[q]...)
		}
		slices.SortStableFunc(all[q], func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	}
	for _, c := range callers {
		require.NoError(t, c.Close())
	}
	return all
}

// Whatever eight clients are answered at the same time, they could have been
// answered one after another by a queue that is first in, first out. In every
// other run queues are paused; in half of the runs there is a log.
func TestLinearizable(t *testing.T) {
	seed := random(t).Uint64()
	brokers := []*servertest.Process{start(t), start(t, "--appendonly", "yes", "--appendfsync", "always")}
	var counts [outcomes]int
	var total, overlapping, handed, longest, runs int
	var judging, slowest time.Duration
	begun := time.Now()
	more := func() bool {
		switch {
		case *linearRuns > 0:
			return runs < *linearRuns
		case testing.Short():
			return runs < 2
		}
		return runs < 2 || time.Since(begun) < 5*time.Second
	}
	for ; more(); runs++ {
		p := brokers[(runs+1)/2%2]
		for q, history := range record(t, p.Addr, runs, seed) {
			judged := time.Now()
			result, why := judge(history)
			require.Equal(t, porcupine.Ok, result, "run %d, queue %d: %s", runs, q, why)
			took := time.Since(judged)
			judging, slowest = judging+took, max(slowest, took)

			known, last := map[int]bool{}, int64(0)
			for _, op := range history {
				a := op.Input.(act)
				counts[a.what]++
				if op.Call <= last {
					overlapping++
				}
				last = max(last, op.Return)
				if a.what == got && !known[a.job] {
					handed++
				}
				known[a.job] = true
			}
			total, longest = total+len(history), max(longest, len(history))
		}
		c := p.Dial(t)
		require.Equal(t, "+OK\r\n", c.Do("DEBUG", "FLUSHALL"))
		require.NoError(t, c.Conn.Close())
	}
	t.Logf("%d runs in %v: %d commands, up to %d on a queue, %d%% of them while another on it went on", runs, time.Since(begun), total, longest, 100*overlapping/total)
	t.Logf("judged in %v, the slowest in %v", judging, slowest)
	for k, n := range counts {
		t.Logf("%s: %d", outcomeNames[k], n)
		require.NotZero(t, n, outcomeNames[k])
	}
	t.Logf("got by those who came before the job: %d", handed)
	require.NotZero(t, handed)
}

// at is a command with its times.
func at(call, ret int64, a act) porcupine.Operation {
	return porcupine.Operation{Input: a, Call: call, Return: ret}
}

// sequence is a history of one command after another.
func sequence(acts ...act) (history []porcupine.Operation) {
	for i, a := range acts {
		history = append(history, at(int64(10*i), int64(10*i+5), a))
	}
	return history
}

// The judge knows right from wrong.
func TestJudge(t *testing.T) {
	add := func(job int) act { return act{what: added, job: job} }
	get := func(job int) act { return act{what: got, job: job} }
	del := func(job int) act { return act{what: deleted, job: job, n: 1} }
	deq := func(job, n int) act { return act{what: dequeued, job: job, n: n} }
	enq := func(job, n int) act { return act{what: enqueued, job: job, n: n} }
	count := func(n int) act { return act{what: length, n: n} }
	pause := func(n int) act { return act{what: paused, n: n} }
	none, inVain, no := act{what: nothing}, act{what: waited}, act{what: rejected, job: 9}
	type history = []porcupine.Operation
	for name, h := range map[string]history{
		"in order":                  sequence(add(1), add(2), count(2), get(1), get(2), none, count(0)),
		"back to its place":         sequence(add(1), add(2), deq(1, 1), deq(1, 0), count(1), enq(1, 1), enq(1, 0), get(1), get(2), enq(2, 0)),
		"deleted":                   sequence(add(1), add(2), del(1), get(2), del(2), none),
		"paused":                    sequence(pause(in), no, none, pause(out), add(1), none, inVain, count(1), pause(0), get(1), none),
		"added at the same time":    {at(0, 10, add(1)), at(5, 15, add(2)), at(20, 30, get(2)), at(40, 50, get(1))},
		"got at the same time":      {at(0, 10, add(1)), at(20, 30, add(2)), at(40, 60, get(2)), at(50, 70, get(1))},
		"waited for":                {at(0, 100, get(1)), at(50, 60, add(1)), at(70, 80, none)},
		"added, but not as yet":     {at(0, 100, add(1)), at(10, 20, none), at(30, 40, get(1)), at(50, 60, none)},
		"waited in vain at first":   {at(0, 100, inVain), at(20, 30, add(1)), at(200, 210, get(1))},
		"paused at the same time":   {at(0, 50, pause(out)), at(10, 60, pause(0)), at(20, 30, add(1)), at(70, 80, none)},
		"dequeued and got, or not":  {at(0, 10, add(1)), at(15, 30, deq(1, 0)), at(20, 40, get(1))},
		"passed while it was aside": {at(0, 10, add(1)), at(11, 12, add(2)), at(15, 30, deq(1, 1)), at(20, 40, get(2)), at(25, 45, enq(1, 1)), at(50, 60, get(1))},
	} {
		result, why := judge(h)
		require.Equal(t, porcupine.Ok, result, "%s: %s", name, why)
	}
	for name, h := range map[string]history{
		"twice":                    sequence(add(1), get(1), get(1)),
		"twice, at the same time":  {at(0, 10, add(1)), at(5, 30, get(1)), at(6, 31, get(1))},
		"out of order":             sequence(add(1), add(2), get(2), get(1)),
		"lost":                     sequence(add(1), add(2), get(2), none),
		"never added":              sequence(add(1), get(2)),
		"before it was added":      sequence(get(1), add(1)),
		"empty with a job":         sequence(add(1), none, get(1)),
		"waited with a job":        {at(0, 10, add(1)), at(15, 40, inVain), at(45, 50, get(1))},
		"miscounted":               sequence(add(1), count(0), get(1)),
		"deleted and delivered":    sequence(add(1), del(1), get(1)),
		"dequeued and delivered":   sequence(add(1), deq(1, 1), get(1)),
		"dequeued after delivery":  sequence(add(1), get(1), deq(1, 1)),
		"delivered again":          sequence(add(1), get(1), enq(1, 1), get(1)),
		"back at the end":          sequence(add(1), add(2), deq(1, 1), enq(1, 1), get(2), get(1)),
		"delivered while paused":   sequence(add(1), pause(out), get(1)),
		"added while paused":       sequence(pause(in), add(1)),
		"rejected for no reason":   sequence(add(1), no),
		"paused otherwise":         sequence(pause(in), act{what: asked, n: out}),
		"passed before it went":    {at(0, 10, add(1)), at(11, 12, add(2)), at(15, 30, get(2)), at(35, 60, get(1))},
		"two orders at once":       {at(0, 10, add(1)), at(0, 10, add(2)), at(0, 10, add(3)), at(20, 30, get(2)), at(40, 50, get(1)), at(60, 70, get(1))},
		"empty between two of one": {at(0, 10, add(1)), at(15, 20, none), at(18, 30, none), at(25, 40, get(1))},
	} {
		result, why := judge(h)
		require.Equal(t, porcupine.Illegal, result, name)
		require.Contains(t, why, "but then none of these can follow:\n\t", name)
	}
}

// One wrong answer among a thousand is found, too.
func TestJudgeFindsOneWrongAnswer(t *testing.T) {
	p, rng, tried := start(t), random(t), 0
	for _, history := range record(t, p.Addr, 0, rng.Uint64()) {
		// Jobs that were only added and delivered, by when they were delivered.
		var plain []int
		addedAt, named := map[int]porcupine.Operation{}, map[int]bool{}
		for _, op := range history {
			switch a := op.Input.(act); a.what {
			case added:
				addedAt[a.job] = op
			case deleted, dequeued:
				named[a.job] = true
			}
		}
		for i, op := range history {
			if a := op.Input.(act); a.what == got && !named[a.job] {
				plain = append(plain, i)
			}
		}
		job := func(i int) int { return history[i].Input.(act).job }
		i := rng.IntN(len(plain) - 1)
		j := i + 1
		for ; j < len(plain) && (history[plain[i]].Return >= history[plain[j]].Call ||
			addedAt[job(plain[i])].Return >= addedAt[job(plain[j])].Call); j++ {
		}
		if j == len(plain) {
			continue
		}
		tried++
		first, second := plain[i], plain[j]
		for name, change := range map[string]map[int]act{
			"twice":   {second: {what: got, job: job(first)}},
			"swapped": {first: {what: got, job: job(second)}, second: {what: got, job: job(first)}},
			"empty":   {first: {what: nothing}},
		} {
			wrong := slices.Clone(history)
			for k, a := range change {
				wrong[k].Input = a
			}
			result, _ := judge(wrong)
			require.Equal(t, porcupine.Illegal, result, "%s: %v and %v", name, history[first], history[second])
		}
	}
	require.NotZero(t, tried)
}
