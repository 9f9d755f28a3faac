package reference

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// job is what a test knows of a job that it added.
type job struct {
	id, queue, body string
	at              int            // the node it was added at
	shown           map[string]any // what SHOW said there right after; nil if nothing
	holders         []string       // ids of nodes-delivered
}

// add adds a job; ms is ADDJOB's timeout.
func (u *unit) add(i int, queue, body string, ms int, options ...string) job {
	u.t.Helper()
	args := append([]string{"ADDJOB", queue, body, strconv.Itoa(ms)}, options...)
	j := job{id: u.do(i, args...).(string), queue: queue, body: body, at: i}
	require.Regexp(u.t, `^D-`+u.ids[i][:8]+`-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$`, j.id, "%q", args)
	u.look(&j)
	return j
}

// held is add for a job that the node keeps a copy of.
func (u *unit) held(i int, queue, body string, ms int, options ...string) job {
	u.t.Helper()
	j := u.add(i, queue, body, ms, options...)
	u.must(j, j.shown != nil, "node %d to have a copy of %s, added with %q", i, j.id, options)
	return j
}

// look asks the node of a job what it knows.
func (u *unit) look(j *job) {
	u.t.Helper()
	j.holders = nil
	if j.shown = u.show(j.at, j.id); j.shown != nil {
		for _, id := range j.shown["nodes-delivered"].([]any) {
			j.holders = append(j.holders, id.(string))
		}
	}
}

// show returns what SHOW says, nil if the node does not know the job.
func (u *unit) show(i int, id string) map[string]any {
	u.t.Helper()
	list, ok := u.do(i, "SHOW", id).([]any)
	if !ok {
		return nil
	}
	return pairs(list)
}

// pairs makes a map of a list of keys and values.
func pairs(list []any) map[string]any {
	m := make(map[string]any, len(list)/2)
	for pair := range slices.Chunk(list, 2) {
		m[pair[0].(string)] = pair[1]
	}
	return m
}

// where returns the running nodes that have a copy of a job in one of the states,
// in any state if there are none.
func (u *unit) where(j job, states ...string) (which []int) {
	u.t.Helper()
	for i, n := range u.nodes {
		if !n.alive() {
			continue
		}
		shown := u.show(i, j.id)
		if shown != nil && (len(states) == 0 || slices.Contains(states, shown["state"].(string))) {
			which = append(which, i)
		}
	}
	return which
}

// copies counts the nodes among the job's holders that have a copy in one of
// the states.
func (u *unit) copies(j job, states ...string) (n int) {
	u.t.Helper()
	for _, i := range u.where(j, states...) {
		if slices.Contains(j.holders, u.ids[i]) {
			n++
		}
	}
	return n
}

// stranger adds a job, as often as it takes, until some node has no copy of
// it, and returns the job and such a node. A slow replica may make a node add
// more copies than were asked for.
func (u *unit) stranger(options ...string) (job, int) {
	u.t.Helper()
	const tries = 20
	var j job
	for range tries {
		j = u.held(0, u.queue(), "myjob", 5000, options...)
		has := u.where(j)
		for i := range u.nodes {
			if !slices.Contains(has, i) {
				return j, i
			}
		}
	}
	u.fail(j, "%d jobs were added with %q and all nodes have copies of all of them", tries, options)
	return j, 0
}

// gone waits until no running node knows the job in any state.
func (u *unit) gone(j job) {
	u.t.Helper()
	u.eventually(j, "no node has a copy of the job", func() bool { return len(u.where(j)) == 0 })
}

// get fetches one job and returns its elements, nil if there was none in time.
func (u *unit) get(i int, queue string, options ...string) []any {
	u.t.Helper()
	args := append([]string{"GETJOB"}, options...)
	if !slices.Contains(options, "TIMEOUT") {
		args = append(args, "TIMEOUT", "20000")
	}
	jobs, ok := u.do(i, append(args, "FROM", queue)...).([]any)
	if !ok {
		return nil
	}
	require.Len(u.t, jobs, 1)
	return jobs[0].([]any)
}

// receive fetches a job and checks that it is the one.
func (u *unit) receive(i int, j job) {
	u.t.Helper()
	got := u.get(i, j.queue)
	if !slices.Equal(got, []any{j.queue, j.id, j.body}) {
		u.fail(j, "GETJOB at node %d answered %q, not %q", i, got, []string{j.queue, j.id, j.body})
	}
}

// describe says what a node knows of a job, or of its peers if there is none.
func (u *unit) describe(i int, j job) string {
	switch n := u.nodes[i]; {
	case !n.alive():
		return "not running"
	case n.crashed():
		return "ended by itself"
	case j.id == "":
		return fmt.Sprintf("%q", u.try(i, "CLUSTER", "NODES"))
	}
	list, ok := u.try(i, "SHOW", j.id).([]any)
	if !ok {
		return "does not know " + j.id
	}
	var text strings.Builder
	for pair := range slices.Chunk(list, 2) {
		value := pair[1]
		if ids, ok := value.([]any); ok {
			value = u.numbers(ids)
		}
		fmt.Fprintf(&text, "%s=%v ", pair[0], value)
	}
	return text.String()
}

// numbers turns ids of nodes into the numbers of the nodes.
func (u *unit) numbers(ids []any) (numbers []string) {
	for _, id := range ids {
		if at := slices.Index(u.ids, id.(string)); at >= 0 {
			numbers = append(numbers, strconv.Itoa(at))
		} else {
			numbers = append(numbers, id.(string))
		}
	}
	return numbers
}
