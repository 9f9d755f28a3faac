package reference

import (
	"fmt"
	"slices"
	"testing"
)

// many is how many queues or jobs are scanned for.
const many = 512

// TestUnit08QueueScan: QSCAN finds all queues, or those that were asked for.
func TestUnit08QueueScan(t *testing.T) {
	u := long(t)
	u.alone("step by step and at once", func(u *unit) {
		var queues []string
		for range many {
			queues = append(queues, u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "1", "RETRY", "0").queue)
		}
		slices.Sort(queues)
		found := slices.Compact(names(u.scan(0, "QSCAN")))
		u.must(job{}, slices.Equal(found, queues), "%d queues by cursor, not %d", many, len(found))
		found = names(u.busy(0, "QSCAN"))
		u.must(job{}, slices.Equal(found, queues), "%d queues at once, not %d", many, len(found))
		u.ok(0, "DEBUG", "FLUSHALL")
	})
	u.alone("MINLEN and MAXLEN", func(u *unit) {
		longer := func(jobs int, queues []string) {
			for _, queue := range queues[:jobs] {
				u.held(0, queue, "myjob", 5000, "REPLICATE", "1", "RETRY", "0")
			}
		}
		expect := func(want []string, options ...string) {
			u.t.Helper()
			found := names(u.busy(0, "QSCAN", options...))
			u.must(job{}, slices.Equal(found, want), "%q to find %q, not %q", options, want, found)
		}
		queues := make([]string, many)
		for i := range queues {
			queues[i] = fmt.Sprintf("queue-%03d", i)
		}
		longer(many, queues)
		longer(16, queues)
		expect(queues[:16], "MINLEN", "2")
		longer(8, queues)
		expect(queues[:8], "MINLEN", "3")
		expect(queues[:16], "MINLEN", "2", "MAXLEN", "3")
		u.ok(0, "DEBUG", "FLUSHALL")
	})
	u.alone("IMPORTRATE", func(u *unit) {
		var queues []string
		for n := range 4 {
			queues = append(queues, fmt.Sprintf("queue-%d", n))
		}
		for range 4 {
			for _, queue := range queues {
				u.add(1, queue, "myjob", 0)
			}
		}
		for range 4 {
			for _, queue := range queues {
				u.must(job{}, u.get(2, queue) != nil, "a job of %s at node 2", queue)
			}
		}
		found := names(u.busy(2, "QSCAN", "IMPORTRATE", "1"))
		u.must(job{}, slices.Equal(found, queues), "node 2 to import %q, not %q", queues, found)
	})
}

// TestUnit09JobScan: JSCAN finds all jobs, or those that were asked for.
func TestUnit09JobScan(t *testing.T) {
	u := long(t)
	u.alone("step by step and at once", func(u *unit) {
		var ids, bodies []string
		for n := range many {
			j := u.held(0, u.queue(), fmt.Sprintf("myjob-%d", n), 5000, "REPLICATE", "1", "RETRY", "0")
			ids, bodies = append(ids, j.id), append(bodies, j.body)
		}
		slices.Sort(ids)
		slices.Sort(bodies)
		found := slices.Compact(names(u.scan(0, "JSCAN")))
		u.must(job{}, slices.Equal(found, ids), "%d jobs by cursor, not %d", many, len(found))
		found = nil
		for _, row := range u.scan(0, "JSCAN", "REPLY", "all") {
			found = append(found, pairs(row.([]any))["body"].(string))
		}
		slices.Sort(found)
		found = slices.Compact(found)
		u.must(job{}, slices.Equal(found, bodies), "%d bodies by cursor, not %d", many, len(found))
		found = names(u.busy(0, "JSCAN"))
		u.must(job{}, slices.Equal(found, ids), "%d jobs at once, not %d", many, len(found))
		u.ok(0, "DEBUG", "FLUSHALL")
	})
	u.alone("QUEUE, STATE and REPLY", func(u *unit) {
		first := u.held(0, u.queue(), "first", 5000, "REPLICATE", "1", "RETRY", "0")
		second := u.held(0, u.queue(), "second", 5000, "REPLICATE", "1", "RETRY", "0")
		found := names(u.busy(0, "JSCAN", "QUEUE", second.queue))
		u.must(second, slices.Equal(found, []string{second.id}), "the job of the queue, not %q", found)
		u.receive(0, first)
		found = names(u.busy(0, "JSCAN", "STATE", "active"))
		u.must(first, slices.Equal(found, []string{first.id}), "the job that was taken, not %q", found)
		rows := u.busy(0, "JSCAN", "QUEUE", second.queue, "REPLY", "ALL")
		u.must(second, len(rows) == 1, "one job, not %q", rows)
		shown := pairs(rows[0].([]any))
		got := []any{shown["queue"], shown["id"], shown["body"]}
		u.must(second, slices.Equal(got, []any{second.queue, second.id, second.body}), "the job, not %q", got)
		u.ok(0, "DEBUG", "FLUSHALL")
	})
}

// scan follows QSCAN's or JSCAN's cursor to the end and returns what it found.
func (u *unit) scan(i int, command string, options ...string) (found []any) {
	u.t.Helper()
	const most = 100_000 // calls
	cursor := "0"
	for range most {
		reply := u.do(i, append([]string{command, cursor}, options...)...).([]any)
		found = append(found, reply[1].([]any)...)
		if cursor = reply[0].(string); cursor == "0" {
			return found
		}
	}
	u.fail(job{}, "%s does not end", command)
	return nil
}

// busy scans by one call.
func (u *unit) busy(i int, command string, options ...string) []any {
	u.t.Helper()
	reply := u.do(i, append([]string{command, "BUSYLOOP"}, options...)...).([]any)
	u.must(job{}, reply[0] == "0", "%s to end with BUSYLOOP, not at cursor %v", command, reply[0])
	return reply[1].([]any)
}

// names returns the strings that a scan found, in order.
func names(found []any) (list []string) {
	for _, name := range found {
		list = append(list, name.(string))
	}
	slices.Sort(list)
	return list
}
