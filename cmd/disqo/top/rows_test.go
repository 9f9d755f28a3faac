package top

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRates(t *testing.T) {
	t.Parallel()
	then := time.Now()
	before := &sample{at: then, queues: []queue{{name: "mail", in: 100, out: 50}, {name: "new again", in: 9, out: 9}, {name: "gone"}}}
	now := &sample{at: then.Add(2 * time.Second), queues: []queue{
		{name: "mail", in: 300, out: 53}, {name: "new again", in: 1, out: 9}, {name: "new", in: 5},
	}}
	rates := func(list []row) (all [][2]float64) {
		for _, r := range list {
			all = append(all, [2]float64{r.inRate, r.outRate})
		}
		return all
	}
	require.Equal(t, [][2]float64{{100, 1.5}, {-1, 0}, {-1, -1}}, rates(rows(before, now)))
	require.Equal(t, [][2]float64{{-1, -1}, {-1, -1}, {-1, -1}}, rates(rows(nil, now)), "the first sample")
	now.at = then
	require.Equal(t, [][2]float64{{-1, -1}, {-1, -1}, {-1, -1}}, rates(rows(before, now)), "no time between")
}

func TestOrders(t *testing.T) {
	t.Parallel()
	list := func() []row {
		return []row{
			{queue{name: "c", length: 1, dead: 3}, -1, 5},
			{queue{name: "a", length: 2, dead: 3}, 0, 6},
			{queue{name: "b", length: 2}, 7, -1},
		}
	}
	for by, want := range map[order]string{byLength: "abc", byIn: "bac", byOut: "acb", byDead: "acb", byName: "abc"} {
		got, sorted := "", list()
		by.sort(sorted)
		for _, r := range sorted {
			got += r.name
		}
		require.Equal(t, want, got, "by %c", by)
	}
}

// A broker that was away may have been restarted, and counted anew.
func TestNoRatesOverAnAbsence(t *testing.T) {
	t.Parallel()
	then := time.Now()
	at := func(s int, in int64) *sample {
		return &sample{at: then.Add(time.Duration(s) * time.Second), queues: []queue{{name: "q", in: in}}}
	}
	p := picture{options: new(options)}
	p.take(at(0, 0))
	p.take(at(1, 10))
	require.InDelta(t, 10, p.rows[0].inRate, 0.01)
	p.miss(errShape, time.Second)
	p.miss(errShape, 2*time.Second)
	require.Contains(t, p.away, "next try in 2s")
	p.take(at(60, 500))
	require.Empty(t, p.away)
	require.Negative(t, p.rows[0].inRate)
	p.take(at(61, 505))
	require.InDelta(t, 5, p.rows[0].inRate, 0.01)
}

func TestPausedDisplay(t *testing.T) {
	t.Parallel()
	live := picture{options: new(options), by: byLength, away: "first"}
	shown := next(live, live)
	live.press('p')
	live.away = "second"
	shown = next(shown, live)
	require.True(t, shown.paused)
	require.Equal(t, "first", shown.away)
	live.press('n')
	live.press('x')
	shown = next(shown, live)
	require.Equal(t, byName, shown.by, "what stands still can be sorted")
	require.Equal(t, "first", shown.away)
	live.press('p')
	shown = next(shown, live)
	require.False(t, shown.paused)
	require.Equal(t, "second", shown.away)
}
