package store

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// ranked is a job with a priority.
func (r *rig) ranked(queue, body string, priority uint32) *Spec {
	spec := r.spec(queue, body)
	if priority != DefaultPriority {
		spec.Terms = &Terms{Priority: priority}
	}
	return spec
}

// Whatever priorities jobs have, and however they change: they come out sorted by
// priority and age, and QPEEK shows them so.
func TestStrictPriority(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sparse = true
	type job struct {
		id       ID
		number   int
		priority uint32
	}
	var jobs []job
	rnd := rand.New(rand.NewPCG(3, 4))
	draw := func() uint32 {
		switch rnd.IntN(4) {
		case 0:
			return DefaultPriority
		case 1:
			return [...]uint32{0, 1, DefaultPriority - 1, DefaultPriority + 1, math.MaxUint32}[rnd.IntN(5)]
		}
		return rnd.Uint32N(2 * DefaultPriority)
	}
	for i := range 5000 {
		p := draw()
		jobs = append(jobs, job{r.add(r.ranked("q", fmt.Sprint(i), p)), i, p})
	}
	for range 1000 {
		j := &jobs[rnd.IntN(len(jobs))]
		j.priority = draw()
		require.True(t, r.s.Promote(r.now, &j.id, j.priority, &r.fx))
	}
	require.NoError(t, r.s.Verify(r.now))
	for range 500 {
		i := rnd.IntN(len(jobs))
		require.True(t, r.s.Ack(r.now, &jobs[i].id, &r.fx))
		jobs = slices.Delete(jobs, i, i+1)
	}
	st, _ := r.s.Stat(r.now, []byte("q"))
	require.Equal(t, r.get(jobs[0].id).Created, st.Oldest)
	slices.SortFunc(jobs, func(a, b job) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.number, b.number))
	})
	var want, peeked []string
	for _, j := range jobs {
		want = append(want, fmt.Sprint(j.number))
	}
	require.Equal(t, len(jobs), r.s.Len([]byte("q")))
	r.s.Peek([]byte("q"), 0, len(jobs), false, func(j *Job) bool {
		peeked = append(peeked, string(j.Body))
		return true
	})
	require.Equal(t, want, peeked)
	require.Equal(t, want, r.fetch("q", len(jobs)+1))
}

// A queue whose jobs have no priority of their own has no more than one tree, and
// its jobs take no more memory than ever.
func TestPlainJobsCostNothingMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.add(r.spec("q", "b"))
	used := r.s.Used()
	require.Nil(t, r.s.slots.slabs[0].terms)
	require.Nil(t, r.s.names["q"].jobs.aged)
	r.fetch("q", 1)
	require.True(t, r.s.Nack(r.now, &id, nil, &r.fx))
	require.Nil(t, r.s.slots.slabs[0].terms)
	require.Equal(t, used, r.s.Used())
	require.True(t, r.s.Promote(r.now, &id, 5, &r.fx))
	require.Equal(t, used+termsSize, r.s.Used())
	require.LessOrEqual(t, termsSize, 40)
}
