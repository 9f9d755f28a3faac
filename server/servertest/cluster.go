package servertest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Row is a line of CLUSTER NODES.
type Row struct {
	ID             string
	Host           string // "" while unknown
	Port, Bus      string // Bus is 10000 above Port if the line does not name it
	Flags          []string
	PingSent, Pong int64 // Unix milliseconds, 0 for none
	Connected      bool
}

// Is reports whether the row has a flag.
func (r Row) Is(flag string) bool { return slices.Contains(r.Flags, flag) }

// Rows returns what CLUSTER NODES says, checking its form.
func (c *Client) Rows() (rows []Row) {
	c.t.Helper()
	text, ok := Decode(c.t, c.Do("CLUSTER", "NODES")).(string)
	require.True(c.t, ok)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		require.Len(c.t, f, 6, "CLUSTER NODES: %q", text)
		require.Regexp(c.t, `^[0-9a-f]{40} \S*:\d+(@\d+)? [a-z?,]+ \d+ \d+ (dis)?connected\n$`, line)
		r := Row{ID: f[0], Flags: strings.Split(f[2], ","), Connected: f[5] == "connected"}
		address, bus, _ := strings.Cut(f[1], "@")
		at := strings.LastIndexByte(address, ':')
		r.Host, r.Port, r.Bus = address[:at], address[at+1:], bus
		if bus == "" {
			port, _ := strconv.Atoi(r.Port) // digits, says the expression
			r.Bus = strconv.Itoa(port + 10000)
		}
		r.PingSent, _ = strconv.ParseInt(f[3], 10, 64)
		r.Pong, _ = strconv.ParseInt(f[4], 10, 64)
		rows = append(rows, r)
	}
	return rows
}

// Self returns the row of the node itself.
func (c *Client) Self() Row {
	c.t.Helper()
	rows := c.Rows()
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Is("myself") })
	require.GreaterOrEqual(c.t, i, 0)
	return rows[i]
}

// ClusterInfo returns a field of CLUSTER INFO, which must be there.
func (c *Client) ClusterInfo(key string) string {
	c.t.Helper()
	text, _ := Decode(c.t, c.Do("CLUSTER", "INFO")).(string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return value
		}
	}
	require.Fail(c.t, "CLUSTER INFO has no "+key, text)
	return ""
}

// Linked reports whether the node reaches others, so many, has a link to each
// and knows nobody else.
func (c *Client) Linked(others int) bool {
	c.t.Helper()
	rows := c.Rows()
	return c.ClusterInfo("cluster_reachable_nodes") == strconv.Itoa(others) && len(rows) == others+1 &&
		!slices.ContainsFunc(rows, func(r Row) bool { return !r.Connected || r.Is("handshake") })
}

// wholeWithin is how long nodes may take to find each other.
const wholeWithin = 30 * time.Second

// Cluster starts brokers in this process that are one cluster.
func Cluster(t testing.TB, n int, directives ...string) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	for i := range nodes {
		nodes[i] = Start(t, directives...)
	}
	Join(t, nodes...)
	return nodes
}

// Join makes brokers one cluster and waits until each has a link to each.
func Join(t testing.TB, nodes ...*Server) {
	t.Helper()
	addrs := make([]string, len(nodes))
	for i, s := range nodes {
		addrs[i] = s.Addr
	}
	JoinAt(t, addrs...)
}

// JoinAt is Join for brokers of any kind, by the addresses of their client
// sockets.
func JoinAt(t testing.TB, addrs ...string) {
	t.Helper()
	clients := make([]*Client, len(addrs))
	for i, addr := range addrs {
		clients[i] = Dial(t, addr)
		defer func() { _ = clients[i].Conn.Close() }()
	}
	for _, c := range clients[1:] {
		clients[0].Meet(c)
	}
	Whole(t, clients...)
}

// Meet sends CLUSTER MEET for the node of another client, once its own has
// loaded its log.
func (c *Client) Meet(other *Client) {
	c.t.Helper()
	r := other.Self()
	host := r.Host
	if host == "" {
		var err error
		host, _, err = net.SplitHostPort(other.Conn.RemoteAddr().String())
		require.NoError(c.t, err)
	}
	var reply string
	Until(c.t, "the node has loaded its log", wholeWithin, func() bool {
		reply = c.Do("CLUSTER", "MEET", host, r.Port, r.Bus)
		return !strings.HasPrefix(reply, "-LOADING")
	})
	require.Equal(c.t, "+OK\r\n", reply)
}

// Whole waits until the nodes of the clients are one cluster, each linked to
// each.
func Whole(t testing.TB, clients ...*Client) {
	t.Helper()
	for _, c := range clients {
		Until(t, "each node has a link to each", wholeWithin, func() bool { return c.Linked(len(clients) - 1) })
	}
}
