package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		err  error
		want string // on either stream
	}{
		{[]string{"help"}, nil, "Usage: disqo-bench [load] [flags]"},
		{[]string{"-h"}, flag.ErrHelp, "disqo-bench torture kill [flags]"},
		{[]string{"load", "-h"}, flag.ErrHelp, "-depth int"},
		{[]string{"compare", "-h"}, flag.ErrHelp, "-against string"},
		{[]string{"torture", "kill", "-h"}, flag.ErrHelp, "-cycles int"},
		{[]string{"torture", "cluster", "-h"}, flag.ErrHelp, "-fault-time duration"},
		{[]string{"torture"}, errUsage, "Usage: disqo-bench"},
		{[]string{"nonsense"}, errUsage, "Usage: disqo-bench"},
		{[]string{"-nonsense"}, errUsage, "flag provided but not defined: -nonsense"},
		{[]string{"compare", "more"}, errUsage, `unexpected argument: "more"`},
	} {
		var out bytes.Buffer
		require.Equal(t, test.err, run(context.Background(), test.args, &out, &out), test.args)
		require.Contains(t, out.String(), test.want, test.args)
	}
}

// What fails says so, and what was asked for on the command line arrives.
func TestErrors(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"no phase \"x\"":     {"-phases", "x"},
		"no/such/report":     {"page", "-reports", "/no/such/report"},
		"Depth is -1":        {"load", "-depth", "-1"},
		"Runs is -1":         {"compare", "-server", os.Args[0], "-runs", "-1", "-json"},
		"no kind of broker":  {"compare", "-server", os.Args[0], "-against", "x"},
		"Policy is \"soon\"": {"torture", "kill", "--policy", "soon", "--json"},
		"no fault \"storm\"": {"torture", "cluster", "--faults", "halves,storm", "--json"},
		"Nodes is 2":         {"torture", "cluster", "--probe", "--nodes", "2"},
		"no such file":       {"torture", "kill", "--server", "/no/such/file", "--dir", t.TempDir()},
	} {
		var out bytes.Buffer
		require.ErrorContains(t, run(context.Background(), args, &out, &out), want)
	}
}
