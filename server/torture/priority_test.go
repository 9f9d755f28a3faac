//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// 100,000 jobs of 1,000 priorities, added by eight clients while others work on
// another queue, come out sorted: by priority, and those of one client and
// priority in the order in which it added them.
func TestStrictPriorityUnderLoad(t *testing.T) {
	const clients, each, priorities = 8, 12_500, 1000
	p := start(t)
	well(t, p)
	stop := make(chan struct{})
	load := make(chan error, 1)
	go func() {
		load <- parallel(4, func(g int) error {
			_, err := work(p.Addr, fmt.Sprint("busy", g), time.Millisecond, stop)
			return err
		})
	}()
	seed := random(t)
	seeds := make([]uint32, clients)
	for i := range seeds {
		seeds[i] = seed.Uint32()
	}
	err := parallel(clients, func(g int) error {
		w, err := connect(p.Addr)
		if err != nil {
			return err
		}
		defer w.Close()
		var b bytes.Buffer
		for i := range each {
			priority := strconv.Itoa(int((seeds[g] + uint32(i)*2654435761) >> 8 % priorities * 2))
			b.Write(servertest.Command("ADDJOB", "q", fmt.Sprintf("%s %d %d", priority, g, i), "0", "PRIORITY", priority))
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		_, err = ids(w, each)
		return err
	})
	require.NoError(t, err)
	w := dial(t, p.Addr)
	var got [][3]int
	for len(got) < clients*each {
		_, err := fmt.Fprintf(w, "GETJOB NOHANG COUNT 997 FROM q\r\n")
		require.NoError(t, err)
		_, bodies, err := w.jobs()
		require.NoError(t, err)
		require.NotEmpty(t, bodies)
		for _, body := range bodies {
			var job [3]int
			for i, word := range strings.Fields(body) {
				job[i], err = strconv.Atoi(word)
				require.NoError(t, err)
			}
			got = append(got, job)
		}
	}
	close(stop)
	require.NoError(t, <-load)
	require.True(t, slices.IsSortedFunc(got, func(a, b [3]int) int { return a[0] - b[0] }), "priorities")
	latest := map[[2]int]int{}
	for _, job := range got {
		key := [2]int{job[0], job[1]}
		before, ok := latest[key]
		require.True(t, !ok || before < job[2], "job %v comes after number %d", job, before)
		latest[key] = job[2]
	}
	require.Greater(t, len(latest), priorities*clients/2)
	well(t, p)
}
