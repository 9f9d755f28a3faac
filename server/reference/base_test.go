package reference

import (
	"fmt"
	"slices"
	"testing"
)

// TestUnit00Base: every node has an identity of its own.
func TestUnit00Base(t *testing.T) {
	u := begin(t)
	var ids []string
	for i := range u.nodes {
		myself := u.flagged(i, "myself")
		u.must(job{}, len(myself) == 1 && myself[0] != "", "one line of node %d to be flagged myself, not %q", i, myself)
		ids = append(ids, myself...)
	}
	slices.Sort(ids)
	u.must(job{}, len(slices.Compact(ids)) == size, "%d different ids, not %q", size, ids)
}

// TestUnit01FailureDetection: dead nodes are flagged fail, and not any more
// when they are back.
func TestUnit01FailureDetection(t *testing.T) {
	u := long(t)
	u.kill(5, 6)
	want := slices.Sorted(slices.Values(u.ids[5:]))
	u.eventually(job{}, "node 0 flags nodes 5 and 6, and only them, with fail", func() bool {
		return slices.Equal(slices.Sorted(slices.Values(u.flagged(0, "fail"))), want)
	})
	u.start(5, 6)
	u.eventually(job{}, "node 0 flags no node with fail", func() bool { return len(u.flagged(0, "fail")) == 0 })
	for i, id := range u.ids {
		got := u.flagged(i, "myself")
		u.must(job{}, slices.Equal(got, []string{id}), "node %d to have kept its id %s, not %s", i, id, got)
	}
	u.eventually(job{}, "node 0 knows nobody twice", func() bool { return len(u.hello(0)) == size })
}

// hello returns the priority of every node in a node's HELLO.
func (u *unit) hello(i int) map[string]string {
	u.t.Helper()
	priority := map[string]string{}
	for _, item := range u.do(i, "HELLO").([]any) {
		if row, ok := item.([]any); ok {
			u.must(job{}, len(row) == 4, "rows of 4 in HELLO of node %d, not %q", i, row)
			priority[fmt.Sprint(row[0])] = fmt.Sprint(row[3])
		}
	}
	return priority
}
