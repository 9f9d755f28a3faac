package compare

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// systems are disqo and those of the others whose programs are here.
func systems(t *testing.T) []System {
	t.Helper()
	list := "disqo=" + servertest.Binary(t)
	for _, name := range []string{"list", "stream", "beanstalkd"} {
		if _, err := exec.LookPath(kinds[name].program); err != nil {
			require.Empty(t, os.Getenv("DISQO_CI"), "%s is missing", kinds[name].program)
			t.Logf("without %s: there is no %s", name, kinds[name].program)
			continue
		}
		list += "," + name
	}
	all, err := ParseSystems(list)
	require.NoError(t, err)
	return all
}

// Everything can be measured of all systems.
func TestRun(t *testing.T) {
	t.Parallel()
	all := systems(t)
	var progress bytes.Buffer
	r, err := Run(t.Context(), Options{
		Systems: all, Parts: Parts, Dir: t.TempDir(), Runs: 2, Jobs: 500, Clients: 4, Stored: 1000, Steps: []int{1000, 3000},
		Wide: 50, Waiting: 5, Rate: 2000, Seconds: 1, Progress: &progress,
	})
	require.NoError(t, err)
	require.Len(t, r.Throughput, 6, "three phases at two depths")
	for _, row := range r.Throughput {
		require.Len(t, row.Cells, len(all))
		for _, c := range row.Cells {
			require.Len(t, c.Ratio.All, 2)
			require.Positive(t, c.Rate.Min)
		}
		require.Equal(t, 1.0, row.Cells[0].Ratio.Median, "disqo to itself")
	}
	require.Len(t, r.Memory, len(all))
	require.Len(t, r.Delivery, len(all))
	require.Len(t, r.Growth, 2*len(all))
	require.Len(t, r.Breadth, 3, "of disqo")
	for _, w := range r.Breadth {
		require.Len(t, w.ProduceRatio.All, 2)
		require.Positive(t, w.ConsumeRatio.Min)
	}
	for _, v := range r.Recovery {
		require.Equal(t, 1008, v.Jobs, "whole batches")
		require.Positive(t, v.LogBytes)
	}
	lines := strings.Split(progress.String(), "\n")
	require.Contains(t, lines[0], "disqo")
	if len(all) > 1 {
		require.Contains(t, lines[len(all)], all[1].Name, "another goes first in the second run")
	}
	for _, part := range []string{"both", "memory", "delivery", "recovery", "growth", "breadth"} {
		require.Contains(t, r.String(), part)
	}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(text), `"phase":"both"`)
}

// Each system keeps a log if it is told to.
func TestPolicies(t *testing.T) {
	t.Parallel()
	all := systems(t)
	for _, policy := range policies[1:] {
		r, err := Run(t.Context(), Options{Systems: all, Dir: t.TempDir(), Runs: 1, Policy: policy, Jobs: 200, Depths: []int{16}, Clients: 4})
		require.NoError(t, err)
		require.Len(t, r.Throughput, 3)
	}
}

// Three nodes make a cluster, and its jobs have three copies.
func TestNodes(t *testing.T) {
	t.Parallel()
	all, err := ParseSystems("disqo=" + servertest.Binary(t))
	require.NoError(t, err)
	r, err := Run(t.Context(), Options{Systems: all, Parts: []string{"throughput", "recovery"}, Dir: t.TempDir(), Runs: 1, Nodes: 3, Jobs: 500, Clients: 3, Stored: 100})
	require.NoError(t, err)
	require.Len(t, r.Throughput, 6)
	require.Len(t, r.Recovery, 1, "of one node: it is its own log that is loaded")
}

// A broker that runs already is measured as it is.
func TestRunning(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	all, err := ParseSystems("disqo@" + s.Addr)
	require.NoError(t, err)
	r, err := Run(t.Context(), Options{Systems: all, Dir: t.TempDir(), Runs: 1, Jobs: 500, Depths: []int{4}})
	require.NoError(t, err)
	require.Len(t, r.Throughput, 3)
	require.Equal(t, "0", s.Dial(t).Info("jobs", "registered_jobs"))
}

func TestParseSystems(t *testing.T) {
	t.Parallel()
	own := os.Args[0]
	all, err := ParseSystems("disqo=" + own + ",old:disqo=" + own + ",far:list@10.0.0.1:6379")
	require.NoError(t, err)
	require.Equal(t, []string{"disqo", "old", "far"}, []string{all[0].Name, all[1].Name, all[2].Name})
	require.Equal(t, "list", all[2].kind.protocol)
	for want, text := range map[string]string{
		"no kind of broker": "kafka", "two systems": "disqo=" + own + ",disqo=" + own, "say where it is": "disqo=/no/such/file", "missing port": "list@here",
	} {
		_, err := ParseSystems(text)
		require.ErrorContains(t, err, want)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	all, err := ParseSystems("disqo=" + os.Args[0] + ",list@127.0.0.1:1")
	require.NoError(t, err)
	for want, o := range map[string]Options{
		"no system": {}, "Runs is -1": {Systems: all, Runs: -1}, "no policy": {Systems: all, Policy: "soon"}, "no part": {Systems: all, Parts: []string{"x"}},
		"has no clusters": {Systems: all, Nodes: 3}, "Steps is 5": {Systems: all, Steps: []int{5, 5}}, "Nodes is 8": {Systems: all[:1], Nodes: 8}, "Sizes is 0": {Systems: all, Sizes: []int{128, 0}}, "Depths is -1": {Systems: all, Depths: []int{-1}},
	} {
		_, err := Run(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	f := newFigures([]float64{3, 1, 2, 4})
	require.Equal(t, 2.5, f.Median)
	require.InDelta(t, 120, f.spread(), 1e-9)
	require.Equal(t, []float64{2, 2}, ratio(newFigures([]float64{4, 8}), newFigures([]float64{2, 4})).All)
	require.Zero(t, newFigures(nil).spread())
}
