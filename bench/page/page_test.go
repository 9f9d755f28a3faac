package page

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench/compare"
	"github.com/disqo/disqo/bench/load"
)

// made is a report with everything in it.
func made() compare.Report {
	f := func(v float64) compare.Figures {
		return compare.Figures{Median: v, Min: v - 1, Max: v + 1, All: []float64{v - 1, v, v + 1}}
	}
	l := load.Latency{Count: 1, Mean: 20, P50: 20, P90: 30, P99: 50, P999: 100, Max: 1000}
	r := compare.Report{
		Began: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Commit: "abc", Machine: "a machine", Systems: []string{"disqo", "other"},
		Runs: 3, Policy: "memory", Nodes: 1, Clients: 16,
	}
	for _, size := range []int{128, 1024} {
		for _, depth := range []int{1, 16} {
			for _, phase := range []string{"produce", "consume", "both"} {
				c := compare.Cell{Rate: f(120_000), Server: f(7), Own: f(5), Ratio: f(1.5), Add: l, Fetch: l, Ack: l}
				r.Throughput = append(r.Throughput, compare.Throughput{Size: size, Depth: depth, Phase: phase, Cells: []compare.Cell{c, c}})
			}
		}
	}
	for _, s := range r.Systems {
		r.Memory = append(r.Memory, compare.Memory{System: s, Jobs: 1000, Bytes: f(200)})
		r.Delivery = append(r.Delivery, compare.Delivery{System: s, Rate: 1000, P50: f(30), P99: f(100), P50Ratio: f(1), P99Ratio: f(1)})
		r.Recovery = append(r.Recovery, compare.Recovery{System: s, Jobs: 1000, LogBytes: 5e6, Seconds: f(2), Ratio: f(1)})
		for _, n := range []int{10_000, 100_000} {
			r.Growth = append(r.Growth, compare.Growth{System: s, Stored: n, Bytes: 200, Produce: 4e5, Both: 5e4, Server: 12, Fetch: l})
		}
	}
	return r
}

// The tables and plots take the place of those that were there, and nothing else
// of the page changes.
func TestUpdate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, os.WriteFile(path, []byte("# Head\n"+begin+"\nold\n"+end+"\ntail\n"), 0o644))
	for range 2 {
		require.NoError(t, Update(path, []compare.Report{made()}))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), "# Head\n"+begin+"\n"), "%s", text)
		require.True(t, strings.HasSuffix(string(text), end+"\ntail\n"), "%s", text)
		require.NotContains(t, string(text), "old")
		for _, want := range []string{
			"### Log: memory; one node each", "2026-11-20 12:00 UTC, commit abc, a machine. 3 runs, 16 producers and 16 consumers.",
			"| 128 B, depth 16 | produce | consume | both |\n|---|---|---|---|\n| disqo | 120.0 k · 7.0 s |",
			"| other | 120.0 k · **1.50 (0.50–2.50)** · 7.0 s |", "| other | 1000 | 200 (199–201) |", "![Memory of a stored job](performance/memory.svg)",
		} {
			require.Contains(t, string(text), want)
		}
	}
	plots, err := filepath.Glob(filepath.Join(filepath.Dir(path), "performance", "*.svg"))
	require.NoError(t, err)
	require.Len(t, plots, 4)
	for _, p := range plots {
		f, err := os.Open(p)
		require.NoError(t, err)
		texts := 0
		for d := xml.NewDecoder(f); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, p)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
				texts++
			}
		}
		require.Greater(t, texts, 5, p)
		require.NoError(t, f.Close())
	}
}

func TestUpdateNeedsAPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	require.ErrorContains(t, Update(path, nil), "no such file")
	require.NoError(t, os.WriteFile(path, []byte("text\n"), 0o644))
	require.ErrorContains(t, Update(path, nil), "give it the lines")
}
